import Foundation

/// Resizing by Lanczos' filter of three lobes, as Pillow does it (`Image.resize` with `LANCZOS`, 8 bits a channel), which diffusers'
/// `VaeImageProcessor` uses: first rows, then columns (from version 13 on Pillow chooses the order by the sizes), with weights of 22 binary places and values rounded to bytes between.
///
/// Where a picture becomes smaller the filter grows with it, so that each pixel is a mean of what it covers.
struct LanczosResampling {
    private static let lobes = 3.0
    private static let weightBits = 22

    /// What one pixel of a line is made of.
    private struct Window {
        let start: Int
        /// Times 2²².
        let weights: [Int]
    }

    /// - Parameters:
    ///   - width: of the result, at least 1.
    ///   - height: of the result, at least 1.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    static func resized(_ image: RGBImage, width: Int, height: Int) throws -> RGBImage {
        guard width > 0, height > 0 else { throw ImageError.wrongSize("a picture can't become \(width)x\(height)") }
        if (width, height) == (image.width, image.height) { return image }
        try LargeArray.ask(bytes: 3 * width * (height + image.height))
        let wide = width == image.width ? image.pixels : resizedRows(image, width: width)
        guard height != image.height else { return try RGBImage(width: width, height: height, pixels: wide) }
        return try RGBImage(
            width: width, height: height, pixels: resizedColumns(wide, rowSize: 3 * width, from: image.height, to: height))
    }

    private static func resizedRows(_ image: RGBImage, width: Int) -> [UInt8] {
        let windows = windows(from: image.width, to: width)
        let source = image.pixels
        var result = [UInt8](repeating: 0, count: 3 * width * image.height)
        for row in 0..<image.height {
            for (column, window) in windows.enumerated() {
                for channel in 0..<3 {
                    var sum = 1 << (weightBits - 1)
                    var position = 3 * (row * image.width + window.start) + channel
                    for weight in window.weights {
                        sum += weight * Int(source[position])
                        position += 3
                    }
                    result[3 * (row * width + column) + channel] = byte(sum)
                }
            }
        }
        return result
    }

    private static func resizedColumns(_ source: [UInt8], rowSize: Int, from oldHeight: Int, to height: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: rowSize * height)
        for (row, window) in windows(from: oldHeight, to: height).enumerated() {
            for column in 0..<rowSize {
                var sum = 1 << (weightBits - 1)
                var position = window.start * rowSize + column
                for weight in window.weights {
                    sum += weight * Int(source[position])
                    position += rowSize
                }
                result[row * rowSize + column] = byte(sum)
            }
        }
        return result
    }

    private static func byte(_ sum: Int) -> UInt8 { UInt8(clamping: sum >> weightBits) }

    private static func windows(from count: Int, to newCount: Int) -> [Window] {
        let scale = Double(count) / Double(newCount)
        let stretch = max(scale, 1)
        let support = lobes * stretch
        return (0..<newCount).map { index in
            let center = (Double(index) + 0.5) * scale
            let start = max(Int(center - support + 0.5), 0)
            let end = min(Int(center + support + 0.5), count)
            let values = (start..<end).map { filter((Double($0) - center + 0.5) * (1 / stretch)) }
            let sum = values.reduce(0, +)
            return Window(
                start: start,
                weights: values.map { value in
                    let scaled = (sum == 0 ? value : value / sum) * Double(1 << weightBits)
                    return Int(scaled + (scaled < 0 ? -0.5 : 0.5))
                })
        }
    }

    private static func filter(_ x: Double) -> Double {
        x >= -lobes && x < lobes ? sinc(x) * sinc(x / lobes) : 0
    }

    private static func sinc(_ x: Double) -> Double {
        if x == 0 { return 1 }
        let angle = x * Double.pi
        return sin(angle) / angle
    }
}

extension RGBImage {
    /// The picture in another size, by Lanczos' filter, as diffusers resizes a picture to start from.
    ///
    /// - Parameters:
    ///   - width: pixels in a row, at least 1; the picture is stretched where its proportions differ.
    ///   - height: rows, at least 1.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    public func resized(width: Int, height: Int) throws -> RGBImage {
        try LanczosResampling.resized(self, width: width, height: height)
    }
}
