import Foundation
import ONNXLoader

/// A picture file, PNG or JPEG as its content says, whose header has been read and checked; nothing is decoded so far.
///
/// The few bytes of a file can stand for more pixels than memory holds, so what a picture is for can be checked by its size first. The
/// file's name decides nothing.
public struct PictureSource: Sendable {
    private enum Content: Sendable {
        case png(PNGSource)
        case jpeg(JPEGSource)
    }

    /// The most bytes of a file that is read: 2 GiB, more than a PNG of the default limit has without compression.
    private static let mostBytes = 1 << 31

    private let content: Content
    /// What the file is.
    public let format: PictureFormat
    /// The file's content.
    public let bytes: [UInt8]
    /// The name used in errors.
    public let path: String
    /// Pixels in a row of the picture as it is seen, turned as its orientation says.
    public let width: Int
    /// Rows of the picture as it is seen.
    public let height: Int

    /// Reads a file, or a pipe to its end, and the picture's header.
    ///
    /// - Parameters:
    ///   - url: where the file lies.
    ///   - pixelLimit: the largest number of pixels accepted.
    /// - Throws: ``ImageError``: `.unreadable`, `.foreign`, `.damaged` or `.tooLarge`.
    public init(contentsOf url: URL, pixelLimit: Int = PNGFile.defaultPixelLimit) throws {
        let bytes: [UInt8]
        do {
            bytes = try BoundedFile.read(url, limit: Self.mostBytes, takesPipes: true)
        } catch {
            throw ImageError.unreadable(path: url.path, reason: error.reason)
        }
        try self.init(bytes, path: url.path, pixelLimit: pixelLimit)
    }

    /// Reads the header of a file's content.
    ///
    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - path: the name used in errors.
    ///   - pixelLimit: the largest number of pixels accepted.
    /// - Throws: ``ImageError``: `.foreign`, `.damaged` or `.tooLarge`.
    public init(_ bytes: [UInt8], path: String = "The file", pixelLimit: Int = PNGFile.defaultPixelLimit) throws {
        guard let format = PictureFormat(start: bytes) else {
            throw ImageError.foreign(path: path, found: ForeignPicture.name(bytes))
        }
        switch format {
        case .png:
            let source = try PNGSource(bytes, path: path, pixelLimit: pixelLimit)
            (content, width, height) = (.png(source), source.width, source.height)
        case .jpeg:
            let source = try JPEGSource(bytes, path: path, pixelLimit: pixelLimit)
            (content, width, height) = (.jpeg(source), source.width, source.height)
        }
        self.format = format
        self.bytes = bytes
        self.path = path
    }

    /// Decodes the picture.
    ///
    /// - Parameter alpha: what becomes of transparency, which JPEG hasn't.
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    public func decoded(alpha: PNGFile.Alpha = .overWhite) throws -> RGBImage {
        switch content {
        case .png(let source): try source.decoded(alpha: alpha)
        case .jpeg(let source): try source.decoded()
        }
    }

    /// Decodes the picture's colours as they are stored, below what is transparent too, and its opacity.
    ///
    /// - Returns: the colours, and one value a pixel, row by row: 0 for what is transparent, 255 for what hides all below; nil where
    ///   every pixel has 255.
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    public func decodedWithOpacity() throws -> (image: RGBImage, opacity: [UInt8]?) {
        switch content {
        case .png(let source):
            let (image, opacity) = try source.decodedWithOpacity()
            return (image, opacity.allSatisfy { $0 == 255 } ? nil : opacity)
        case .jpeg(let source): return (try source.decoded(), nil)
        }
    }
}
