import ONNXLoader

/// Gaussian blur as Pillow does it (`ImageFilter.GaussianBlur`): three box blurs along the rows, then three along the columns, of a width
/// that needn't be whole (Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering", 2011), in integers
/// of 24 binary places, and rounded to bytes after each. Beyond the edges lies the outermost pixel.
enum GaussianBlur {
    private static let passes = 3
    private static let one: UInt32 = 1 << 24

    /// - Parameter radius: the standard deviation in pixels, 0 or more and finite; 0 changes nothing.
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    static func blurred(_ raster: Raster, radius: Double) throws -> Raster {
        let boxRadius = boxRadius(Float(radius))
        guard boxRadius > 0 else { return raster }
        try LargeArray.ask(bytes: 2 * raster.values.count)
        var result = raster
        let rowSize = raster.channels * raster.width
        for _ in 0..<passes {
            result.values = boxBlurred(
                result.values, lines: raster.height, count: raster.width, inner: raster.channels, radius: boxRadius)
        }
        for _ in 0..<passes {
            result.values = boxBlurred(result.values, lines: 1, count: raster.height, inner: rowSize, radius: boxRadius)
        }
        return result
    }

    /// The radius of a box, three of which in turn have the standard deviation: the article's equations 7, 11 and 14.
    private static func boxRadius(_ deviation: Float) -> Float {
        let variance = deviation * deviation / Float(passes)
        let length = Float((12 * Double(variance) + 1).squareRoot())
        let whole = Float(((Double(length) - 1) / 2).rounded(.down))
        var part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
        part /= 6 * (variance - (whole + 1) * (whole + 1))
        return whole + part
    }

    /// A box blur along the middle one of three axes, [lines, count, inner].
    private static func boxBlurred(_ source: [UInt8], lines: Int, count: Int, inner: Int, radius: Float) -> [UInt8] {
        // Beyond a whole line on each side, all that is added is the outermost pixel again; Pillow takes any radius as it is.
        let whole = Int(radius)
        let weight = UInt32(Float(one) / (radius * 2 + 1))
        // What the pixels just outside of the whole ones count.
        let farWeight = (one &- UInt32(truncatingIfNeeded: 2 * whole + 1) &* weight) / 2
        var result = [UInt8](repeating: 0, count: source.count)
        var sums = [UInt32](repeating: 0, count: inner)
        let last = count - 1
        for line in 0..<lines {
            let start = line * count * inner
            // The sum around the pixel before the first: its left half is all the first pixel.
            for index in 0..<inner { sums[index] = UInt32(source[start + index]) &* UInt32(truncatingIfNeeded: whole + 1) }
            for position in 0..<min(whole, count) {
                for index in 0..<inner { sums[index] &+= UInt32(source[start + position * inner + index]) }
            }
            if whole > count {
                let rest = UInt32(truncatingIfNeeded: whole - count)
                for index in 0..<inner { sums[index] &+= UInt32(source[start + last * inner + index]) &* rest }
            }
            for position in 0..<count {
                let leaving = start + max(position - whole - 1, 0) * inner
                let entering = start + min(position + whole, last) * inner
                let far = start + min(position + whole + 1, last) * inner
                let target = start + position * inner
                for index in 0..<inner {
                    let left = UInt32(source[leaving + index])
                    sums[index] &+= UInt32(source[entering + index]) &- left
                    let sum = sums[index] &* weight &+ (left &+ UInt32(source[far + index])) &* farWeight
                    result[target + index] = UInt8(truncatingIfNeeded: (sum &+ (one / 2)) >> 24)
                }
            }
        }
        return result
    }
}
