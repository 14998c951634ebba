import ONNXLoader

extension PictureMask {
    /// What a picture says as a mask, by the rule of AUTOMATIC1111's web interface (`create_binary_mask`): where any pixel is transparent
    /// at all, what has an opacity above 128 is repainted, and the colours count for nothing; else each pixel's luminance is its share.
    ///
    /// - Parameters:
    ///   - image: the colours.
    ///   - opacity: one value a pixel, 255 for what is opaque; nil for a picture without transparency.
    /// - Throws: ``ImageError``: `.wrongSize` where there aren't as many values as pixels, or `.notEnoughMemory`.
    public init(image: RGBImage, opacity: [UInt8]? = nil) throws {
        try LargeArray.ask(bytes: image.width * image.height)
        if let opacity, opacity.contains(where: { $0 != 255 }) {
            try self.init(width: image.width, height: image.height, values: opacity.map { $0 > 128 ? 255 : 0 })
            return
        }
        guard opacity.map({ $0.count == image.width * image.height }) ?? true else {
            throw ImageError.wrongSize(
                "a picture of \(image.width)x\(image.height) has \(opacity?.count ?? 0) values of opacity")
        }
        let pixels = image.pixels
        let values = stride(from: 0, to: pixels.count, by: 3).map { start in
            Self.luminance(red: pixels[start], green: pixels[start + 1], blue: pixels[start + 2])
        }
        try self.init(width: image.width, height: image.height, values: values)
    }

    /// A picture file as a mask.
    ///
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    public init(_ source: PictureSource) throws {
        let (image, opacity) = try source.decodedWithOpacity()
        try self.init(image: image, opacity: opacity)
    }

    /// That of ITU-R BT.601, in 16 binary places and rounded, as Pillow's mode `L`.
    private static func luminance(red: UInt8, green: UInt8, blue: UInt8) -> UInt8 {
        UInt8(truncatingIfNeeded: (Int(red) * 19595 + Int(green) * 38470 + Int(blue) * 7471 + 0x8000) >> 16)
    }
}
