import ONNXLoader

/// Bytes of pixels with any number of channels, interleaved row by row from the top left: what pictures and masks share.
struct Raster: Sendable, Equatable {
    let width: Int
    let height: Int
    /// Bytes of a pixel.
    let channels: Int
    /// `channels * width * height` values.
    var values: [UInt8]

    init(width: Int, height: Int, channels: Int, values: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.values = values
    }

    /// One value everywhere.
    ///
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    init(width: Int, height: Int, channels: Int, filledWith value: UInt8) throws {
        let count = channels * width * height
        try LargeArray.ask(bytes: count)
        self.init(width: width, height: height, channels: channels, values: [UInt8](repeating: value, count: count))
    }

    /// Copies another raster of as many channels onto this one; what would lie outside is left out.
    ///
    /// - Parameters:
    ///   - left: the column of its first pixel; may be negative.
    ///   - top: the row of its first pixel; may be negative.
    mutating func paste(_ other: Raster, left: Int, top: Int) {
        let columns = max(left, 0)..<max(min(left + other.width, width), max(left, 0))
        guard !columns.isEmpty else { return }
        for row in max(top, 0)..<max(min(top + other.height, height), max(top, 0)) {
            let target = channels * (row * width + columns.lowerBound)
            let source = channels * ((row - top) * other.width + columns.lowerBound - left)
            let count = channels * columns.count
            values.replaceSubrange(target..<target + count, with: other.values[source..<source + count])
        }
    }

    /// A part of this raster; what lies outside of it has the value of the filling.
    func cropped(left: Int, top: Int, width: Int, height: Int, filling: UInt8 = 0) throws -> Raster {
        var result = try Raster(width: width, height: height, channels: channels, filledWith: filling)
        result.paste(self, left: -left, top: -top)
        return result
    }
}

extension RGBImage {
    init(_ raster: Raster) throws {
        try self.init(width: raster.width, height: raster.height, pixels: raster.values)
    }

    var raster: Raster { Raster(width: width, height: height, channels: 3, values: pixels) }
}
