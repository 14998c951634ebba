import CJPEGReader
import CPNGReader
import GraphRuntime

/// Pictures' files decoded by libpng and libjpeg; BMP and PNM, whose pixels lie bare in the file, in ``BarePictures``.
enum PictureDecoding {
    /// The most pixels of a picture: a few bytes of a file can stand for more than memory holds.
    private static let mostPixels = 1 << 28

    /// The pixels of a PNG, [H, W, 4], or of another picture, [H, W, 3]; nil where the file is damaged.
    ///
    /// - Throws: ``TensorError`` for other formats, by name, and for pictures that are too large.
    static func pixels(_ bytes: [UInt8]) throws -> Tensor? {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return try png(bytes) }
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return try jpeg(bytes) }
        if bytes.starts(with: Array("BM".utf8)) { return try BarePictures.bmp(bytes) }
        if bytes.starts(with: Array("P5".utf8)) || bytes.starts(with: Array("P6".utf8)) { return try BarePictures.pnm(bytes) }
        if let name = otherFormat(bytes) {
            throw TensorError("pictures in the format \(name) aren't supported, expected PNG, JPEG, BMP or PNM")
        }
        return nil
    }

    private static func png(_ bytes: [UInt8]) throws -> Tensor? {
        guard bytes.count >= 33, Array(bytes[12..<16]) == Array("IHDR".utf8) else { return nil }
        func number(_ start: Int) -> Int { bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
        guard let pixels = try room(width: number(16), height: number(20), channels: 4) else { return nil }
        var reason = [CChar](repeating: 0, count: 200)
        let isDecoded = try pixels.withMutableBytes { span in
            unsafe span.withUnsafeMutableBytes { target in
                unsafe png_reader_decode(
                    bytes, bytes.count, target.baseAddress?.assumingMemoryBound(to: UInt8.self), target.count, &reason,
                    reason.count) != 0
            }
        }
        return isDecoded ? try pixels.finish() : nil
    }

    private static func jpeg(_ bytes: [UInt8]) throws -> Tensor? {
        var header = jpeg_reader_header()
        var reason = [CChar](repeating: 0, count: 300)
        guard unsafe jpeg_reader_read_header(bytes, bytes.count, &header, &reason, reason.count) != 0 else { return nil }
        guard let pixels = try room(width: header.width, height: header.height, channels: 3) else { return nil }
        let isDecoded = try pixels.withMutableBytes { span in
            unsafe span.withUnsafeMutableBytes { target in
                unsafe jpeg_reader_decode(
                    bytes, bytes.count, target.baseAddress?.assumingMemoryBound(to: UInt8.self), target.count, &reason,
                    reason.count) != 0
            }
        }
        return isDecoded ? try pixels.finish() : nil
    }

    static func room(width: Int, height: Int, channels: Int) throws -> MutableTensor? {
        guard (1...Int(Int32.max)).contains(width), (1...Int(Int32.max)).contains(height) else { return nil }
        guard width * height <= mostPixels else {
            throw TensorError("a picture of \(width)x\(height) pixels is larger than \(mostPixels) pixels")
        }
        return try MutableTensor(dtype: .uint8, shape: Shape([height, width, channels]))
    }

    /// The name of a format that the standard has and that isn't decoded here.
    private static func otherFormat(_ bytes: [UInt8]) -> String? {
        func starts(_ text: String) -> Bool { bytes.starts(with: Array(text.utf8)) }
        if starts("RIFF"), bytes.count >= 12, Array(bytes[8..<12]) == Array("WEBP".utf8) { return "WebP" }
        if starts("II*\0") || starts("MM\0*") { return "TIFF" }
        if bytes.starts(with: [0, 0, 0, 12, 0x6A, 0x50]) || bytes.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) {
            return "JPEG 2000"
        }
        if let kind = bytes.dropFirst().first, bytes.first == UInt8(ascii: "P"),
            (UInt8(ascii: "1")...UInt8(ascii: "7")).contains(kind)
        {
            return "P\(Character(UnicodeScalar(kind)))"
        }
        return nil
    }
}
