import CPNGReader
import Foundation
import ONNXLoader

/// A PNG whose header has been read and checked; nothing is decoded so far.
///
/// The few bytes of a file can stand for more pixels than memory holds, so what a picture is for can be checked by its size first.
public struct PNGSource: Sendable {
    /// The file's content.
    public let bytes: [UInt8]
    /// The name used in errors.
    public let path: String
    /// Pixels in a row of the picture as it is seen, turned as its orientation says.
    public let width: Int
    /// Rows of the picture as it is seen.
    public let height: Int
    private let storedWidth: Int
    private let storedHeight: Int
    private let orientation: ImageOrientation

    /// Signature and header chunk: 8 bytes, and 4 + 4 + 13 + 4.
    private static let headerSize = 33

    /// Reads a file, of which more than the header only where its picture isn't too large.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - pixelLimit: the largest number of pixels accepted.
    /// - Throws: ``ImageError``: `.unreadable`, `.damaged` or `.tooLarge`.
    public init(contentsOf url: URL, pixelLimit: Int = PNGFile.defaultPixelLimit) throws {
        do {
            let file = try FileHandle(forReadingFrom: url)
            let start = [UInt8](try file.read(upToCount: Self.headerSize) ?? Data())
            _ = try Self.size(start, path: url.path, limit: pixelLimit)
            try self.init(start + [UInt8](try file.readToEnd() ?? Data()), path: url.path, pixelLimit: pixelLimit)
        } catch let error as ImageError {
            throw error
        } catch {
            throw ImageError.unreadable(path: url.path)
        }
    }

    /// Reads the header of a file's content.
    ///
    /// - Throws: ``ImageError``: `.damaged` or `.tooLarge`.
    public init(_ bytes: [UInt8], path: String = "The file", pixelLimit: Int = PNGFile.defaultPixelLimit) throws {
        (storedWidth, storedHeight) = try Self.size(bytes, path: path, limit: pixelLimit)
        self.bytes = bytes
        self.path = path
        orientation = ImageOrientation(png: bytes)
        (width, height) = orientation.swapsAxes ? (storedHeight, storedWidth) : (storedWidth, storedHeight)
    }

    /// Decodes the picture.
    ///
    /// - Parameter alpha: what becomes of transparency.
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    public func decoded(alpha: PNGFile.Alpha = .overWhite) throws -> RGBImage {
        try RGBImage(orientation.upright(Self.flattened(try stored(), alpha)))
    }

    /// Decodes the picture's colours and its opacity, one value a pixel, 255 for what hides all that lies below.
    ///
    /// - Throws: ``ImageError``: `.damaged` or `.notEnoughMemory`.
    func decodedWithOpacity() throws -> (image: RGBImage, opacity: [UInt8]) {
        let stored = try stored()
        try LargeArray.ask(bytes: 2 * stored.width * stored.height)
        let opacity = Raster(
            width: stored.width, height: stored.height, channels: 1,
            values: stride(from: 3, to: stored.values.count, by: 4).map { stored.values[$0] })
        return (
            try RGBImage(orientation.upright(Self.flattened(stored, .dropped))), orientation.upright(opacity).values
        )
    }

    /// Red, green, blue and opacity as they lie in the file.
    private func stored() throws -> Raster {
        let area = storedWidth * storedHeight
        try LargeArray.ask(bytes: (orientation == .upright ? 4 : 7) * area)
        var pixels = [UInt8](repeating: 0, count: 4 * area)
        let file = PNGChunks.essential(of: bytes)
        var reason = [CChar](repeating: 0, count: 200)
        guard unsafe png_reader_decode(file, file.count, &pixels, pixels.count, &reason, reason.count) != 0 else {
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw ImageError.damaged(path: path, reason: text)
        }
        return Raster(width: storedWidth, height: storedHeight, channels: 4, values: pixels)
    }

    /// What the header says.
    private static func size(_ bytes: [UInt8], path: String, limit: Int) throws -> (width: Int, height: Int) {
        guard PictureFormat(start: bytes) == .png else { throw ImageError.damaged(path: path, reason: "it isn't a PNG") }
        guard bytes.count >= headerSize, Array(bytes[8..<16]) == [0, 0, 0, 13] + Array("IHDR".utf8) else {
            throw ImageError.damaged(path: path, reason: "it has no header")
        }
        func number(_ start: Int) -> Int { bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
        let (width, height) = (number(16), number(20))
        guard (1...Int(Int32.max)).contains(width), (1...Int(Int32.max)).contains(height) else {
            throw ImageError.damaged(path: path, reason: "its header says \(width)x\(height) pixels")
        }
        // Below 2^62, so no overflow.
        guard width * height <= limit else {
            throw ImageError.tooLarge(path: path, width: width, height: height, limit: limit)
        }
        return (width, height)
    }

    /// From four bytes a pixel to three, in place.
    private static func flattened(_ raster: consuming Raster, _ alpha: PNGFile.Alpha) -> Raster {
        let area = raster.width * raster.height
        var pixels = raster.values
        raster.values = []
        for index in 0..<area {
            let opacity = Int(pixels[4 * index + 3])
            for channel in 0..<3 {
                let value = Int(pixels[4 * index + channel])
                let mixed: Int
                switch alpha {
                case .dropped: mixed = value
                case .over(let red, let green, let blue):
                    let below = Int(channel == 0 ? red : channel == 1 ? green : blue)
                    // Rounded to nearest, as Pillow does.
                    mixed = (value * opacity + below * (255 - opacity) + 127) / 255
                }
                pixels[3 * index + channel] = UInt8(truncatingIfNeeded: mixed)
            }
        }
        pixels.removeLast(area)
        return Raster(width: raster.width, height: raster.height, channels: 3, values: pixels)
    }
}
