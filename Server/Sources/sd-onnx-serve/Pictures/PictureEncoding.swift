import CJPEGWriter
import SDPipeline

/// The kind of file that pictures are given as.
struct PictureEncoding: Sendable, Equatable {
    enum Format: String, Sendable, CaseIterable, Codable {
        case png, jpeg
    }

    var format = Format.png
    /// Of JPEG: 1 to 100.
    var quality = 90

    var mediaType: String { "image/\(format.rawValue)" }
    var fileExtension: String { format == .png ? "png" : "jpg" }

    /// A picture's file, with what it was made with in it where that can be.
    ///
    /// - Throws: ``ImageError`` or ``APIError``.
    func encoded(_ image: RGBImage, text: [PNGText] = []) throws -> [UInt8] {
        switch format {
        case .png: try PNGFile.encode(image, text: text)
        case .jpeg: JPEGComment.adding(text.first { $0.key == "parameters" }?.text, to: try Self.jpeg(image, quality: quality))
        }
    }

    private static func jpeg(_ image: RGBImage, quality: Int) throws -> [UInt8] {
        var size = 0
        var reason = [CChar](repeating: 0, count: 300)
        guard image.width <= 65500, image.height <= 65500,
            let file = unsafe jpeg_writer_encode(
                image.pixels, Int32(image.width), Int32(image.height), Int32(quality), &size, &reason, reason.count)
        else {
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw APIError(.internalServerError, "The picture can't be encoded as a JPEG\(text.isEmpty ? "" : ": \(text)").")
        }
        defer { unsafe jpeg_writer_free(file) }
        return unsafe [UInt8](UnsafeBufferPointer(start: file, count: size))
    }
}

/// A picture that was made, as the file that clients get.
struct MadePicture: Sendable {
    let bytes: [UInt8]
    let encoding: PictureEncoding
    let record: GenerationRecord
    let width: Int
    let height: Int

    init(_ image: RGBImage, record: GenerationRecord, encoding: PictureEncoding) throws {
        bytes = try encoding.encoded(image, text: try record.pngText)
        (self.encoding, self.record) = (encoding, record)
        (width, height) = (image.width, image.height)
    }

    /// The settings as AUTOMATIC1111's web interface writes them.
    var parameters: String { record.parameters }
    /// Whether the safety checker flagged it; nil where it wasn't asked.
    var isFlagged: Bool? { record.isFlagged }
}
