import ONNXLoader

/// What lies under a mask when a run begins.
public enum MaskContent: String, Sendable, CaseIterable {
    /// The picture as it is.
    case original
    /// The seed's noise alone, in the latents.
    case noise
    /// Zeros in the latents: neither the picture nor noise but that of the first step ("latent nothing" of AUTOMATIC1111's web interface).
    case nothing
    /// The colours around the mask, spread into it: ``RGBImage/filling(_:)``.
    case fill
}

extension RGBImage {
    /// Blurs of what isn't masked, from the widest to none, with how often each is laid over those before: AUTOMATIC1111's.
    private static let fillLayers: [(radius: Double, times: Int)] = [(256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)]

    /// The picture with the colours around a mask spread into it, as the mask content "fill" of AUTOMATIC1111's web interface: what isn't
    /// masked is blurred, with its opacity, ever less, and each blur laid over the one before. What the mask leaves stays as it is; so
    /// far inside of a mask that no blur reaches there it is black.
    ///
    /// - Parameter mask: of this picture's size.
    /// - Throws: ``ImageError``: `.wrongSize` for a mask of another size, or `.notEnoughMemory`.
    public func filling(_ mask: PictureMask) throws -> RGBImage {
        guard (mask.width, mask.height) == (width, height) else {
            throw ImageError.wrongSize("a picture of \(width)x\(height) has a mask of \(mask.width)x\(mask.height) pixels")
        }
        let visible = try Raster.visible(self, outside: mask)
        var result = try Raster(width: width, height: height, channels: 4, filledWith: 0)
        for layer in Self.fillLayers {
            let blurred = try GaussianBlur.blurred(visible, radius: layer.radius)
            for position in mask.values.indices {
                let upper = blurred.unmultipliedPixel(position)
                let start = 4 * position
                var pixel: AlphaArithmetic.Pixel = (
                    result.values[start], result.values[start + 1], result.values[start + 2], result.values[start + 3]
                )
                for _ in 0..<layer.times { pixel = AlphaArithmetic.composited(upper, over: pixel) }
                result.values[start] = pixel.red
                result.values[start + 1] = pixel.green
                result.values[start + 2] = pixel.blue
                result.values[start + 3] = pixel.opacity
            }
        }
        try LargeArray.ask(bytes: pixels.count)
        var values = pixels
        for position in mask.values.indices {
            for channel in 0..<3 { values[3 * position + channel] = result.values[4 * position + channel] }
        }
        return try RGBImage(width: width, height: height, pixels: values)
    }
}
