/// EXIF's text for whoever made the picture, tag 0x9286 (CIPA DC-008, 4.6.5.16), where JPEG files have what PNG has in `parameters`.
enum UserComment {
    private static let tag = 0x9286
    private static let exifDirectory = 0x8769
    private static let codeSize = 8

    /// The comment of a file's EXIF data; nil for none.
    static func text(png file: [UInt8]) -> String? {
        PNGChunks.chunks(of: file).first { $0.type == "eXIf" }.flatMap { text(exif: Array($0.content)) }
    }

    /// The comment of a file's EXIF data; nil for none.
    static func text(jpeg file: [UInt8]) -> String? {
        JPEGSegments.content(of: file, marker: JPEGSegments.application1, start: Array("Exif\0\0".utf8)).flatMap {
            text(exif: $0)
        }
    }

    private static func text(exif: [UInt8]) -> String? {
        guard let file = TIFFDirectory.File(exif), let first = file.first,
            let place = first.entry(exifDirectory)?.number,
            let bytes = file.directory(at: place)?.entry(tag)?.bytes, bytes.count > codeSize
        else { return nil }
        let (code, body) = (Array(bytes.prefix(codeSize)), bytes.dropFirst(codeSize))
        let text = code.starts(with: Array("UNICODE\0".utf8)) ? utf16(Array(body), isBigEndian: file.isBigEndian) : utf8(body)
        return text.isEmpty ? nil : text
    }

    private static func utf8(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }

    /// The order of bytes is the structure's by the standard, and the highest first in what Python's piexif writes: what has more zeros in
    /// the place of the highest bytes is taken, as most letters are below 256.
    private static func utf16(_ bytes: [UInt8], isBigEndian: Bool) -> String {
        let bytes = bytes.dropLast(bytes.count % 2)
        let (even, odd) = (stride(from: 0, to: bytes.count, by: 2), stride(from: 1, to: bytes.count, by: 2))
        let (first, second) = (even.count { bytes[$0] == 0 }, odd.count { bytes[$0] == 0 })
        let highestFirst = first == second ? isBigEndian : first > second
        let units = even.map { index in
            let (a, b) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
            return highestFirst ? a << 8 | b : b << 8 | a
        }
        return String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
    }
}
