import CPNG
import Foundation

/// PNG decoding and encoding by libpng.
///
/// libpng's simplified interface is used throughout: it reports errors by return values, where the classic one jumps
/// with setjmp, which Swift can't follow.
public enum PNGFile {
    /// The largest picture that is decoded, in pixels.
    public static let defaultPixelLimit = 1 << 28

    /// What becomes of an alpha channel.
    public enum Alpha: Sendable, Equatable {
        /// It is left out and the colours stay as they are stored, as PIL's `convert("RGB")` and so diffusers do.
        case dropped
        /// The picture is laid over a colour.
        case over(red: UInt8, green: UInt8, blue: UInt8)
    }

    /// Decodes a PNG of any kind (1 to 16 bits, gray, palette, with alpha, interlaced) to 8-bit RGB.
    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - path: the name used in errors.
    ///   - alpha: what becomes of transparency.
    ///   - pixelLimit: the largest number of pixels accepted.
    /// - Throws: ``ImageError/damaged(path:reason:)`` or ``ImageError/tooLarge(path:width:height:limit:)``.
    public static func decode(
        _ bytes: [UInt8], path: String = "The file", alpha: Alpha = .dropped, pixelLimit: Int = defaultPixelLimit
    ) throws -> RGBImage {
        var image = unsafe png_image()
        unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
        defer { unsafe png_image_free(&image) }
        return unsafe try bytes.withUnsafeBytes { memory in
            guard unsafe png_image_begin_read_from_memory(&image, memory.baseAddress, memory.count) != 0 else {
                throw unsafe ImageError.damaged(path: path, reason: message(of: image))
            }
            let (width, height) = unsafe (Int(image.width), Int(image.height))
            let (area, overflow) = width.multipliedReportingOverflow(by: height)
            guard !overflow, area <= pixelLimit, area <= Int(Int32.max) / 4 else {
                throw ImageError.tooLarge(path: path, width: width, height: height, limit: min(pixelLimit, Int(Int32.max) / 4))
            }
            // 16-bit files without a colour space hold sRGB values, not linear ones.
            unsafe image.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)
            let hasAlpha = unsafe image.format & png_uint_32(PNG_FORMAT_FLAG_ALPHA) != 0
            let channels = hasAlpha ? 4 : 3
            unsafe image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR) | (hasAlpha ? png_uint_32(PNG_FORMAT_FLAG_ALPHA) : 0)
            var pixels = [UInt8](repeating: 0, count: area * channels)
            let result = unsafe pixels.withUnsafeMutableBytes {
                unsafe png_image_finish_read(&image, nil, $0.baseAddress, 0, nil)
            }
            guard result != 0 else {
                throw unsafe ImageError.damaged(path: path, reason: message(of: image))
            }
            return try RGBImage(width: width, height: height, pixels: hasAlpha ? flattened(pixels, alpha) : pixels)
        }
    }

    /// Reads a PNG file.
    /// - Throws: ``ImageError/unreadable(path:)``, ``ImageError/damaged(path:reason:)`` or
    ///   ``ImageError/tooLarge(path:width:height:limit:)``.
    public static func read(
        _ url: URL, alpha: Alpha = .dropped, pixelLimit: Int = defaultPixelLimit
    ) throws -> RGBImage {
        guard let data = try? Data(contentsOf: url) else { throw ImageError.unreadable(path: url.path) }
        return try decode([UInt8](data), path: url.path, alpha: alpha, pixelLimit: pixelLimit)
    }

    /// Encodes a picture as an 8-bit RGB PNG.
    /// - Parameter text: entries to keep with the picture, such as the generation parameters.
    /// - Throws: ``ImageError/notEncoded(reason:)``, or ``ImageError/invalidText(reason:)`` for a key that PNG doesn't allow.
    public static func encode(_ picture: RGBImage, text: [PNGText] = []) throws -> [UInt8] {
        guard let width = png_uint_32(exactly: picture.width), let height = png_uint_32(exactly: picture.height) else {
            throw ImageError.notEncoded(reason: "\(picture.width)x\(picture.height) is beyond what a PNG can hold")
        }
        var image = unsafe png_image()
        unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
        unsafe image.width = width
        unsafe image.height = height
        unsafe image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
        defer { unsafe png_image_free(&image) }
        // Incompressible rows grow by a filter byte each and deflate's block headers.
        let raw = (3 * picture.width + 1) * picture.height
        var size = raw + raw / 1000 + 4096
        for _ in 0..<2 {
            var file = [UInt8](repeating: 0, count: size)
            let written = unsafe file.withUnsafeMutableBytes { file in
                unsafe picture.pixels.withUnsafeBytes { pixels in
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

    /// Writes a picture: first under a temporary name, so that no half file is ever left.
    public static func write(_ picture: RGBImage, to url: URL, text: [PNGText] = []) throws {
        try AtomicFile.write(encode(picture, text: text), to: url)
    }

    private static func flattened(_ pixels: [UInt8], _ alpha: Alpha) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(pixels.count / 4 * 3)
        for index in stride(from: 0, to: pixels.count, by: 4) {
            switch alpha {
            case .dropped:
                result.append(contentsOf: pixels[index..<index + 3])
            case .over(let red, let green, let blue):
                let opacity = Int(pixels[index + 3])
                for (offset, below) in [red, green, blue].enumerated() {
                    let mixed = Int(pixels[index + offset]) * opacity + Int(below) * (255 - opacity)
                    result.append(UInt8((mixed + 127) / 255))
                }
            }
        }
        return result
    }

    private static func message(of image: png_image) -> String {
        let text = unsafe withUnsafeBytes(of: image.message) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return text.isEmpty ? "libpng gives no reason" : text
    }
}
