import ONNXLoader

/// Between a VAE's pixels, flat `[N, 3, H, W]` values from −1 to 1, and pictures: the arithmetic of diffusers'
/// `VaeImageProcessor`, in its order and precision.
public enum PixelConversion {
    /// Pixels to pictures: x · 0.5 + 0.5, clamped to 0…1, times 255, rounded half to even.
    /// - Parameters:
    ///   - pixels: flat `[N, 3, height, width]`.
    ///   - width: of each picture, at least 1.
    ///   - height: of each picture, at least 1.
    /// - Returns: N pictures.
    /// - Throws: ``ImageError``: `.wrongSize` when the values don't fill whole pictures, `.notFinite` for values that no colour comes of,
    ///   `.notEnoughMemory`.
    public static func images(from pixels: [Float], width: Int, height: Int) throws -> [RGBImage] {
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        let (size, overflows) = area.multipliedReportingOverflow(by: 3)
        guard width > 0, height > 0, !overflow, !overflows, pixels.count.isMultiple(of: size) else {
            throw ImageError.wrongSize("\(pixels.count) values don't fill pictures of 3x\(height)x\(width)")
        }
        guard pixels.span.isFinite else {
            throw ImageError.notFinite(count: pixels.count { !$0.isFinite }, of: pixels.count)
        }
        try LargeArray.ask(bytes: pixels.count)
        return try stride(from: 0, to: pixels.count, by: size).map { start in
            var bytes = [UInt8](repeating: 0, count: size)
            for channel in 0..<3 {
                let plane = start + channel * area
                for position in 0..<area {
                    bytes[3 * position + channel] = byte(pixels[plane + position])
                }
            }
            return try RGBImage(width: width, height: height, pixels: bytes)
        }
    }

    /// Pictures of one size to pixels: byte / 255, times 2, minus 1.
    /// - Returns: flat `[N, 3, height, width]`, from −1 to 1.
    /// - Throws: ``ImageError``: `.wrongSize` when the pictures differ in size, `.notEnoughMemory`.
    public static func pixels(from images: [RGBImage]) throws -> [Float] {
        guard let first = images.first else { return [] }
        guard let other = images.first(where: { $0.width != first.width || $0.height != first.height }) else {
            try LargeArray.ask(bytes: 4 * images.count * first.pixels.count)
            return images.flatMap { image in
                let bytes = image.pixels
                return (0..<3).flatMap { channel in
                    stride(from: channel, to: bytes.count, by: 3).map { 2 * (Float(bytes[$0]) / 255) - 1 }
                }
            }
        }
        throw ImageError.wrongSize(
            "a batch has pictures of \(first.width)x\(first.height) and \(other.width)x\(other.height)")
    }

    private static func byte(_ value: Float) -> UInt8 {
        let scaled = (min(max(value * 0.5 + 0.5, 0), 1) * 255).rounded(.toNearestOrEven)
        return UInt8(exactly: scaled) ?? 0
    }
}
