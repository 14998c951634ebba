/// A rectangle of a picture's pixels.
public struct PictureRegion: Sendable, Equatable {
    /// The first column.
    public let left: Int
    /// The first row.
    public let top: Int
    /// The column behind the last.
    public let right: Int
    /// The row behind the last.
    public let bottom: Int

    /// The rectangle between these columns and rows.
    ///
    /// - Parameters:
    ///   - left: the first column.
    ///   - top: the first row.
    ///   - right: the column behind the last.
    ///   - bottom: the row behind the last.
    public init(left: Int, top: Int, right: Int, bottom: Int) {
        self.left = left
        self.top = top
        self.right = right
        self.bottom = bottom
    }

    /// Pixels in a row.
    public var width: Int { right - left }
    /// Rows.
    public var height: Int { bottom - top }

    /// - Throws: ``ImageError/wrongSize(_:)`` for a region that is empty or leaves a picture of this size.
    func check(width: Int, height: Int) throws {
        guard left >= 0, top >= 0, left < right, top < bottom, right <= width, bottom <= height else {
            throw ImageError.wrongSize(
                "the region from \(left),\(top) to \(right),\(bottom) isn't in a picture of \(width)x\(height)")
        }
    }
}

extension RGBImage {
    /// A part of the picture.
    ///
    /// - Throws: ``ImageError``: `.wrongSize` for a region that is empty or leaves the picture, or `.notEnoughMemory`.
    public func cropped(to region: PictureRegion) throws -> RGBImage {
        try region.check(width: width, height: height)
        return try RGBImage(
            raster.cropped(left: region.left, top: region.top, width: region.width, height: region.height))
    }
}

extension PictureMask {
    /// A part of the mask.
    ///
    /// - Throws: ``ImageError``: `.wrongSize` for a region that is empty or leaves the mask, or `.notEnoughMemory`.
    public func cropped(to region: PictureRegion) throws -> PictureMask {
        try region.check(width: width, height: height)
        return try PictureMask(
            raster.cropped(left: region.left, top: region.top, width: region.width, height: region.height))
    }

    /// The smallest rectangle with all that isn't 0; nil where all is.
    public var bounds: PictureRegion? {
        func rowIsMarked(_ row: Int) -> Bool { values[row * width..<(row + 1) * width].contains { $0 != 0 } }
        guard let top = (0..<height).first(where: rowIsMarked), let bottom = (0..<height).last(where: rowIsMarked) else {
            return nil
        }
        func columnIsMarked(_ column: Int) -> Bool {
            stride(from: top * width + column, through: bottom * width + column, by: width).contains { values[$0] != 0 }
        }
        guard let left = (0..<width).first(where: columnIsMarked), let right = (0..<width).last(where: columnIsMarked) else {
            return nil
        }
        return PictureRegion(left: left, top: top, right: right + 1, bottom: bottom + 1)
    }

    /// The largest padding of a region, in pixels.
    public static let largestPadding = PictureSizes.largest

    /// The rectangle to crop where only what is masked is made, at full size: the mask's bounds and some pixels around, grown to the
    /// proportions of the size that is made as far as the picture allows, as diffusers' `VaeImageProcessor.get_crop_region` does it.
    ///
    /// - Parameters:
    ///   - padding: pixels around the mask, 0 to ``largestPadding``.
    ///   - width: of the size that is made, at least 1.
    ///   - height: of the size that is made, at least 1.
    /// - Throws: ``PipelineError`` for another padding or size, or a mask of zeros alone.
    public func region(padding: Int, width: Int, height: Int) throws -> PictureRegion {
        guard (0...Self.largestPadding).contains(padding) else {
            throw PipelineError("The padding around the mask is \(padding) pixels, expected 0 to \(Self.largestPadding).")
        }
        guard width > 0, height > 0 else {
            throw PipelineError("The size that is made is \(width)x\(height) pixels, expected at least one.")
        }
        guard let bounds else { throw PipelineError("The mask marks nothing to repaint: all of it is black.") }
        var columns = max(bounds.left - padding, 0)..<min(bounds.right + padding, self.width)
        var rows = max(bounds.top - padding, 0)..<min(bounds.bottom + padding, self.height)
        let proportions = Double(width) / Double(height)
        if Double(columns.count) / Double(rows.count) > proportions {
            let missing = Int(Double(columns.count) / proportions - Double(rows.count))
            rows = Self.grown(rows, by: missing, within: self.height)
        } else {
            let missing = Int(Double(rows.count) * proportions - Double(columns.count))
            columns = Self.grown(columns, by: missing, within: self.width)
        }
        return PictureRegion(left: columns.lowerBound, top: rows.lowerBound, right: columns.upperBound, bottom: rows.upperBound)
    }

    /// A range longer by a number, half of it on each side, moved to lie within a side of the picture, and cut where it is longer.
    private static func grown(_ range: Range<Int>, by missing: Int, within side: Int) -> Range<Int> {
        var (start, end) = (range.lowerBound - missing / 2, range.upperBound + missing - missing / 2)
        if end > side { (start, end) = (start - (end - side), side) }
        if start < 0 { (start, end) = (0, end - start) }
        return start..<min(end, side)
    }
}
