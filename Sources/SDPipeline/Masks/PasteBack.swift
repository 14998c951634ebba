import ONNXLoader

extension RGBImage {
    /// This picture with what was made for a mask laid into it, as diffusers' `VaeImageProcessor.apply_overlay` does it: the mask, which
    /// may have soft edges, is the opacity of what was made. Where it is 0 every byte stays as it is.
    ///
    /// - Parameters:
    ///   - made: what was made: of this picture's size or the region's, else it is resized to that, where proportions differ
    ///     by ``ResizeMode/fill``.
    ///   - mask: of this picture's size, 255 where what was made covers it.
    ///   - region: where what was made lies; nil for the whole picture. Outside of it nothing changes.
    /// - Throws: ``ImageError``: `.wrongSize` for a mask of another size or a region that leaves the picture, or `.notEnoughMemory`.
    public func pasting(_ made: RGBImage, mask: PictureMask, region: PictureRegion? = nil) throws -> RGBImage {
        guard (mask.width, mask.height) == (width, height) else {
            throw ImageError.wrongSize("a picture of \(width)x\(height) has a mask of \(mask.width)x\(mask.height) pixels")
        }
        let region = region ?? PictureRegion(left: 0, top: 0, right: width, bottom: height)
        try region.check(width: width, height: height)
        let fitted = try made.resized(width: region.width, height: region.height, mode: .fill)
        let visible = try Raster.visible(self, outside: mask)
        try LargeArray.ask(bytes: pixels.count)
        var result = pixels
        for row in region.top..<region.bottom {
            for column in region.left..<region.right {
                let position = row * width + column
                guard mask.values[position] != 0 else { continue }
                let source = 3 * ((row - region.top) * region.width + column - region.left)
                let below = (fitted.pixels[source], fitted.pixels[source + 1], fitted.pixels[source + 2], UInt8(255))
                let mixed = AlphaArithmetic.composited(visible.unmultipliedPixel(position), over: below)
                result[3 * position] = mixed.red
                result[3 * position + 1] = mixed.green
                result[3 * position + 2] = mixed.blue
            }
        }
        return try RGBImage(width: width, height: height, pixels: result)
    }
}
