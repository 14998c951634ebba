import Foundation
import SDPipeline

/// Reads pictures that come with requests, as bytes or as base64.
struct PictureReader: Sendable {
    let limits: ServerLimits

    /// A picture in base64, perhaps as a `data:` address. Its header alone is read so far.
    ///
    /// - Parameter field: the name that errors have for it.
    func source(base64 text: String, field: String) throws -> PictureSource {
        var encoded = Substring(text)
        if encoded.hasPrefix("data:") {
            guard let comma = encoded.firstIndex(of: ","), encoded[..<comma].hasSuffix(";base64") else {
                throw APIError.invalid(field, "\(field) is an address of another kind, expected a picture in base64.")
            }
            encoded = encoded[encoded.index(after: comma)...]
        } else if encoded.hasPrefix("http://") || encoded.hasPrefix("https://") || encoded.hasPrefix("file:") {
            throw APIError.invalid(
                field, "\(field) is an address, which this server doesn't fetch: expected a picture in base64.")
        }
        guard !encoded.isEmpty, let data = Data(base64Encoded: String(encoded), options: .ignoreUnknownCharacters),
            !data.isEmpty
        else { throw APIError.invalid(field, "\(field) can't be read as base64.") }
        return try source([UInt8](data), field: field)
    }

    func source(_ bytes: [UInt8], field: String) throws -> PictureSource {
        try naming(field) { try PictureSource(bytes, path: field, pixelLimit: limits.inputPixels) }
    }

    func image(_ source: PictureSource, field: String) throws -> RGBImage { try naming(field) { try source.decoded() } }

    func mask(_ source: PictureSource, field: String) throws -> PictureMask { try naming(field) { try PictureMask(source) } }

    func withOpacity(_ source: PictureSource, field: String) throws -> (image: RGBImage, opacity: [UInt8]?) {
        try naming(field) { try source.decodedWithOpacity() }
    }

    private func naming<Result>(_ field: String, _ work: () throws -> Result) throws -> Result {
        do { return try work() } catch let error as ImageError { throw APIError.invalid(field, error.description) }
    }
}
