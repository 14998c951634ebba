import CJPEGReader
import ONNXLoader

/// A JPEG whose header has been read and checked; nothing is decoded so far.
///
/// Pictures are read as Pillow reads them, and so diffusers: gray, YCbCr, RGB, CMYK and YCCK of 8 bits a value, baseline or progressive,
/// to RGB, without regard to colour profiles. They are turned as EXIF says.
struct JPEGSource: Sendable {
    let bytes: [UInt8]
    let path: String
    /// Pixels in a row of the picture as it is seen, turned as its orientation says.
    let width: Int
    /// Rows of the picture as it is seen.
    let height: Int
    private let storedWidth: Int
    private let storedHeight: Int
    private let coefficientBytes: Int
    private let orientation: ImageOrientation

    /// Reads the header of a file's content.
    ///
    /// - Throws: ``ImageError``: `.damaged` or `.tooLarge`.
    init(_ bytes: [UInt8], path: String, pixelLimit: Int) throws {
        var header = jpeg_reader_header()
        var reason = [CChar](repeating: 0, count: 300)
        guard unsafe jpeg_reader_read_header(bytes, bytes.count, &header, &reason, reason.count) != 0 else {
            throw Self.damage(reason, path: path)
        }
        // At most 65500 each, which libjpeg sees to.
        (storedWidth, storedHeight, coefficientBytes) = (header.width, header.height, header.coefficient_bytes)
        guard storedWidth * storedHeight <= pixelLimit else {
            throw ImageError.tooLarge(path: path, width: storedWidth, height: storedHeight, limit: pixelLimit)
        }
        self.bytes = bytes
        self.path = path
        orientation = ImageOrientation(jpeg: bytes)
        (width, height) = orientation.swapsAxes ? (storedHeight, storedWidth) : (storedWidth, storedHeight)
    }

    /// Decodes the picture.
    ///
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    func decoded() throws -> RGBImage {
        let size = 3 * storedWidth * storedHeight
        try LargeArray.ask(bytes: (orientation == .upright ? size : 2 * size) + coefficientBytes)
        var pixels = [UInt8](repeating: 0, count: size)
        var reason = [CChar](repeating: 0, count: 300)
        guard unsafe jpeg_reader_decode(bytes, bytes.count, &pixels, size, &reason, reason.count) != 0 else {
            throw Self.damage(reason, path: path)
        }
        let stored = Raster(width: storedWidth, height: storedHeight, channels: 3, values: pixels)
        return try RGBImage(orientation.upright(stored))
    }

    private static func damage(_ reason: [CChar], path: String) -> ImageError {
        let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return .damaged(path: path, reason: text, format: .jpeg)
    }
}

/// Which libjpeg this was compiled for.
package enum LibJPEGVersion {
    package static var text: String {
        unsafe jpeg_reader_version().map { unsafe String(cString: $0) } ?? "of an unknown version"
    }
}
