/// Room that a picture gets on its sides, to be painted.
public struct Outpainting: Sendable, Equatable {
    /// Columns before the first.
    public let left: Int
    /// Rows above the first.
    public let top: Int
    /// Columns behind the last.
    public let right: Int
    /// Rows below the last.
    public let bottom: Int

    /// Room in pixels on each side.
    ///
    /// - Parameters:
    ///   - left: columns before the first, 0 to ``PictureSizes/largest``.
    ///   - top: rows above the first.
    ///   - right: columns behind the last.
    ///   - bottom: rows below the last.
    /// - Throws: ``PipelineError`` for other numbers, or where all are 0.
    public init(left: Int, top: Int, right: Int, bottom: Int) throws {
        let sides = [left, top, right, bottom]
        guard sides.allSatisfy((0...PictureSizes.largest).contains), sides.contains(where: { $0 > 0 }) else {
            throw PipelineError(
                "The room around the picture is \(sides.map(String.init).joined(separator: ",")) pixels (left, top, right, bottom), "
                    + "expected 0 to \(PictureSizes.largest) each, and one of them above 0.")
        }
        self.left = left
        self.top = top
        self.right = right
        self.bottom = bottom
    }

    /// The width of a picture with its room.
    public func width(of image: RGBImage) -> Int { left + image.width + right }

    /// The height of a picture with its room.
    public func height(of image: RGBImage) -> Int { top + image.height + bottom }

    /// The larger picture: beyond its edges the outermost pixels are carried outwards and blurred by a quarter of the widest room, so
    /// that there are colours to start from and no streaks. The picture itself stays as it is.
    ///
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    public func enlarged(_ image: RGBImage) throws -> RGBImage {
        var result = try Raster(width: width(of: image), height: height(of: image), channels: 3, filledWith: 0)
        let source = image.pixels
        for row in 0..<result.height {
            let sourceRow = min(max(row - top, 0), image.height - 1)
            for column in 0..<result.width {
                let from = 3 * (sourceRow * image.width + min(max(column - left, 0), image.width - 1))
                let to = 3 * (row * result.width + column)
                for channel in 0..<3 { result.values[to + channel] = source[from + channel] }
            }
        }
        let widest = max(left, top, right, bottom)
        result = try GaussianBlur.blurred(result, radius: Double(widest) / 4)
        result.paste(image.raster, left: left, top: top)
        return try RGBImage(result)
    }

    /// The larger picture's mask: white where there is room, and what the picture's own mask says elsewhere.
    ///
    /// - Parameters:
    ///   - image: the picture without its room.
    ///   - mask: of the picture without its room; nil repaints the room alone.
    /// - Throws: ``PipelineError`` for a mask of another size, ``ImageError/notEnoughMemory(bytes:)``.
    public func mask(for image: RGBImage, over mask: PictureMask? = nil) throws -> PictureMask {
        if let mask, (mask.width, mask.height) != (image.width, image.height) {
            throw PipelineError(
                "The mask has \(mask.width)x\(mask.height) pixels, expected \(image.width)x\(image.height), those of its picture."
            )
        }
        var result = try Raster(width: width(of: image), height: height(of: image), channels: 1, filledWith: 255)
        let inner = try mask?.raster ?? Raster(width: image.width, height: image.height, channels: 1, filledWith: 0)
        result.paste(inner, left: left, top: top)
        return try PictureMask(result)
    }
}
