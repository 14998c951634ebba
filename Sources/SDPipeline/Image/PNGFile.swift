import CPNG
import Foundation
import ONNXLoader

/// PNG decoding and encoding by libpng.
///
/// Pictures are read as their values are stored: what a file says of gamma and colour space (`gAMA`, `cHRM`, `sRGB`, `iCCP`) changes
/// nothing, as in Pillow and so in diffusers. They are turned as `eXIf` says, and transparency is laid over white.
public enum PNGFile {
    /// The largest picture that is decoded unless another limit is stated, in pixels: 10000 by 10000.
    public static let defaultPixelLimit = 100_000_000

    /// What becomes of an alpha channel.
    public enum Alpha: Sendable, Equatable {
        /// It is left out and the colours stay as they are stored, hidden ones too, as PIL's `convert("RGB")` and so diffusers do.
        case dropped
        /// The picture is laid over a colour.
        case over(red: UInt8, green: UInt8, blue: UInt8)

        /// What viewers of pictures, and AUTOMATIC1111's web interface, show behind what is transparent.
        public static let overWhite = over(red: 255, green: 255, blue: 255)
    }

    /// Decodes a PNG of any kind (1 to 16 bits, gray, palette, with alpha, interlaced) to 8-bit RGB.
    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - path: the name used in errors.
    ///   - alpha: what becomes of transparency.
    ///   - pixelLimit: the largest number of pixels accepted.
    /// - Throws: ``ImageError``: `.damaged`, `.tooLarge` or `.notEnoughMemory`.
    public static func decode(
        _ bytes: [UInt8], path: String = "The file", alpha: Alpha = .overWhite, pixelLimit: Int = defaultPixelLimit
    ) throws -> RGBImage {
        try PNGSource(bytes, path: path, pixelLimit: pixelLimit).decoded(alpha: alpha)
    }

    /// Reads a PNG file.
    /// - Throws: ``ImageError``: `.unreadable`, `.damaged`, `.tooLarge` or `.notEnoughMemory`.
    public static func read(
        _ url: URL, alpha: Alpha = .overWhite, pixelLimit: Int = defaultPixelLimit
    ) throws -> RGBImage {
        try PNGSource(contentsOf: url, pixelLimit: pixelLimit).decoded(alpha: alpha)
    }

    /// Encodes a picture as an 8-bit RGB PNG, with its opacity where there is one.
    /// - Parameters:
    ///   - picture: the picture, of any size that a PNG can hold.
    ///   - opacity: one value a pixel, row by row, 0 for what is transparent; nil for none.
    ///   - text: entries to keep with the picture, such as the generation parameters.
    /// - Throws: ``ImageError``: `.notEncoded` or `.notEnoughMemory`, `.wrongSize` for another number of values than of pixels, or
    ///   `.invalidText` for a key that PNG doesn't allow.
    public static func encode(_ picture: RGBImage, opacity: [UInt8]? = nil, text: [PNGText] = []) throws -> [UInt8] {
        let channels = opacity == nil ? 3 : 4
        let pixels = try opacity.map { try withOpacity(picture, $0) } ?? picture.pixels
        guard let width = png_uint_32(exactly: picture.width), let height = png_uint_32(exactly: picture.height) else {
            throw ImageError.notEncoded(reason: "\(picture.width)x\(picture.height) is beyond what a PNG can hold")
        }
        var image = unsafe png_image()
        unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
        unsafe image.width = width
        unsafe image.height = height
        unsafe image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR | (opacity == nil ? 0 : PNG_FORMAT_FLAG_ALPHA))
        defer { unsafe png_image_free(&image) }
        // Incompressible rows grow by a filter byte each and deflate's block headers.
        let raw = (channels * picture.width + 1) * picture.height
        var size = raw + raw / 1000 + 4096
        for _ in 0..<2 {
            try LargeArray.ask(bytes: size)
            var file = [UInt8](repeating: 0, count: size)
            let written = unsafe file.withUnsafeMutableBytes { file in
                unsafe pixels.withUnsafeBytes { pixels in
                    unsafe png_image_write_to_memory(&image, file.baseAddress, &size, 0, pixels.baseAddress, 0, nil)
                }
            }
            if written != 0 {
                file.removeLast(file.count - min(size, file.count))
                return try text.isEmpty ? file : PNGText.insert(text, into: file)
            }
            // With too little room libpng says how much it needs.
            guard size > file.count else { break }
        }
        throw unsafe ImageError.notEncoded(reason: message(of: image))
    }

    /// Colours with opacity behind each.
    private static func withOpacity(_ picture: RGBImage, _ opacity: [UInt8]) throws -> [UInt8] {
        guard opacity.count == picture.width * picture.height else {
            throw ImageError.wrongSize(
                "a picture of \(picture.width)x\(picture.height) has \(opacity.count) values of opacity")
        }
        try LargeArray.ask(bytes: 4 * opacity.count)
        var result: [UInt8] = []
        result.reserveCapacity(4 * opacity.count)
        for (index, value) in opacity.enumerated() {
            result += picture.pixels[3 * index..<3 * index + 3]
            result.append(value)
        }
        return result
    }

    /// Writes a picture: first under a temporary name, so that no half file is ever left.
    public static func write(_ picture: RGBImage, to url: URL, text: [PNGText] = []) throws {
        try AtomicFile.write(encode(picture, text: text), to: url)
    }

    private static func message(of image: png_image) -> String {
        let text = unsafe withUnsafeBytes(of: image.message) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return text.isEmpty ? "libpng gives no reason" : text
    }
}
