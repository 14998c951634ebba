import Foundation

/// The files that Tests/References/images.py made with Pillow, diffusers and numpy.
struct ImageReferences: Decodable {
    struct Picture: Decodable {
        let file: Hex
        /// Turned upright.
        let width: Int
        let height: Int
        /// With the alpha channel left out.
        let rgb: Hex
        /// Over white.
        let white: Hex
    }

    struct Resized: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        /// Width and height.
        let to: [Int]
        let resized: Hex
    }

    struct Pixels: Decodable {
        /// N, C, H, W.
        let shape: [Int]
        let pixels: Hex
        let bytes: Hex
        let normalized: Hex
    }

    let images: [String: Picture]
    let resized: [Resized]
    let vae: Pixels

    static func load() throws -> ImageReferences { try References.load("images.json") }
}

/// Bytes written as hexadecimal text.
struct Hex: Decodable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let digits = Array(try decoder.singleValueContainer().decode(String.self).utf8)
        bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)
        }
    }

    var floats: [Float] {
        stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
    }
}

/// A folder that is removed with its content.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "sd-onnx-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    var content: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
    }
}
