/// Which part of a picture is repainted: one byte a pixel, row by row from the top left, 255 for what is repainted and 0 for what stays.
/// A value between is a share.
public struct PictureMask: Sendable, Equatable {
    /// The width in pixels, at least 1.
    public let width: Int
    /// The height in pixels, at least 1.
    public let height: Int
    /// `width * height` values.
    public let values: [UInt8]

    /// A mask of these values.
    ///
    /// - Parameters:
    ///   - width: pixels in a row, at least 1.
    ///   - height: rows, at least 1.
    ///   - values: `width * height` values, 255 for what is repainted.
    /// - Throws: ``ImageError/wrongSize(_:)`` when the number of values doesn't fit.
    public init(width: Int, height: Int, values: [UInt8]) throws {
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        guard width > 0, height > 0, !overflow, area == values.count else {
            throw ImageError.wrongSize(
                "a mask of \(width)x\(height) needs a value a pixel and \(values.count) values were given")
        }
        self.width = width
        self.height = height
        self.values = values
    }

    init(_ raster: Raster) throws {
        try self.init(width: raster.width, height: raster.height, values: raster.values)
    }

    var raster: Raster { Raster(width: width, height: height, channels: 1, values: values) }

    /// Whether nothing would be repainted: as a graph sees the mask, in which values below one half are black.
    public var isEmpty: Bool { !values.contains { $0 >= Self.half } }

    /// The least value that counts as repainted where there are but two: v / 255 ≥ 0.5, as in diffusers' mask processor.
    static let half: UInt8 = 128

    /// Checks that the mask is of a picture's size, and that it marks something.
    ///
    /// - Parameters:
    ///   - width: of the picture, in pixels.
    ///   - height: of the picture.
    /// - Throws: ``PipelineError`` that says what is wrong.
    public func check(width: Int, height: Int) throws {
        guard (self.width, self.height) == (width, height) else {
            throw PipelineError(
                "The mask has \(self.width)x\(self.height) pixels, expected \(width)x\(height), those of its picture.")
        }
        guard !isEmpty else {
            throw PipelineError(
                "The mask marks nothing to repaint, expected white, or where it has transparency, opaque pixels.")
        }
    }
}
