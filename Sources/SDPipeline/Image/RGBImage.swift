import Foundation

/// A picture of 8-bit red, green and blue values, interleaved row by row from the top left.
public struct RGBImage: Sendable, Equatable {
    /// The width in pixels, at least 1.
    public let width: Int
    /// The height in pixels, at least 1.
    public let height: Int
    /// `3 * width * height` values.
    public private(set) var pixels: [UInt8]

    /// - Parameters:
    ///   - width: pixels in a row, at least 1.
    ///   - height: rows, at least 1.
    ///   - pixels: `3 * width * height` interleaved values.
    /// - Throws: ``ImageError/wrongSize(_:)`` when the number of values doesn't fit.
    public init(width: Int, height: Int, pixels: [UInt8]) throws {
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        let (count, overflows) = area.multipliedReportingOverflow(by: 3)
        guard width > 0, height > 0, !overflow, !overflows, count == pixels.count else {
            throw ImageError.wrongSize(
                "a picture of \(width)x\(height) needs 3 values a pixel and \(pixels.count) values were given")
        }
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// What can be wrong with a picture or its file. `description` is one sentence for a person.
public enum ImageError: Error, LocalizedError, Sendable, Equatable, CustomStringConvertible {
    /// The file can't be read; `reason` is what the system says.
    case unreadable(path: String, reason: String? = nil)
    /// The file is neither a PNG nor a JPEG; `found` is what it is, such as `a GIF picture`, where that is known.
    case foreign(path: String, found: String?)
    /// The bytes aren't of the format, are damaged, or are of a kind that isn't read.
    case damaged(path: String, reason: String, format: PictureFormat = .png)
    /// The picture has more pixels than are accepted.
    case tooLarge(path: String, width: Int, height: Int, limit: Int)
    /// Numbers of values, pictures or pixels don't fit together.
    case wrongSize(String)
    /// The picture can't be encoded.
    case notEncoded(reason: String)
    /// A text chunk can't be stored.
    case invalidText(reason: String)
    /// Values that should become colours are NaN or infinite.
    case notFinite(count: Int, of: Int)
    /// The system doesn't give as much memory.
    case notEnoughMemory(bytes: Int)

    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "The picture \(path) can't be read\(reason.map { ": \($0)" } ?? "")."
        case .foreign(let path, let found):
            "\(path) is \(found ?? "a file of an unknown kind"), expected a PNG or JPEG picture."
        case .damaged(let path, let reason, let format): "\(path) can't be decoded as a \(format.rawValue): \(reason)."
        case .tooLarge(let path, let width, let height, let limit):
            "\(path) has \(width)x\(height) pixels, at most \(limit) are accepted."
        case .wrongSize(let reason): "The sizes don't fit: \(reason)."
        case .notEncoded(let reason): "The picture can't be encoded as a PNG: \(reason)."
        case .invalidText(let reason): "The text can't be stored in a PNG: \(reason)."
        case .notFinite(let count, let all): "\(count) of \(all) values that should become colours aren't finite numbers."
        case .notEnoughMemory(let bytes): "There is too little memory for a picture: \(bytes) bytes are needed at once."
        }
    }
}
