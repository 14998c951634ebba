extension PixelConversion {
    /// The picture without what is repainted, for the VAE of a model made for inpainting: x · (m < 0.5), with x from −1 to 1. What is
    /// repainted becomes 0, a gray of one half.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - mask: of the picture's size, at most 0.5 for what stays.
    /// - Returns: flat `[1, 3, height, width]`, from −1 to 1.
    /// - Throws: ``ImageError``: `.wrongSize` for a mask of another size, or `.notEnoughMemory`.
    public static func pixels(from image: RGBImage, without mask: PictureMask) throws -> [Float] {
        guard (image.width, image.height) == (mask.width, mask.height) else {
            throw ImageError.wrongSize(
                "a picture of \(image.width)x\(image.height) has a mask of \(mask.width)x\(mask.height) pixels")
        }
        var result = try pixels(from: [image])
        let area = image.width * image.height
        for position in 0..<area where mask.values[position] >= PictureMask.half {
            for channel in 0..<3 { result[channel * area + position] = 0 }
        }
        return result
    }
}
