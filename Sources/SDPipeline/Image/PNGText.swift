/// A text entry of a PNG, such as the settings that a picture was made with (chunks `tEXt` and `iTXt` of the PNG
/// specification, third edition, section 11.3.3).
public struct PNGText: Sendable, Equatable {
    /// 1 to 79 printable ASCII characters; programs of this field use `parameters`.
    public let key: String
    /// Any text; Latin-1 is written as `tEXt`, other text as `iTXt` in UTF-8.
    public let text: String

    /// An entry, which is checked when it is written.
    public init(key: String, text: String) {
        self.key = key
        self.text = text
    }

    /// The signature and the header chunk come first: 8 bytes, and 4 + 4 + 13 + 4.
    private static let headerEnd = 33
    /// Puts the entries behind the header of a PNG.
    static func insert(_ entries: [PNGText], into file: [UInt8]) throws -> [UInt8] {
        guard file.count >= headerEnd else { throw ImageError.invalidText(reason: "the file has no header") }
        var chunks: [UInt8] = []
        for entry in entries { chunks += try entry.chunk() }
        return file[..<headerEnd] + chunks + file[headerEnd...]
    }

    /// The most bytes that a text stands for, and all texts of a file together: a few compressed kilobytes can stand for a gigabyte.
    static let largestText = 1 << 24
    private static let largestTotal = 1 << 26
    private static let mostEntries = 1000

    /// The text entries of a PNG, in order, compressed ones too; what is damaged is left out, and what stands for more than 16 MB.
    public static func entries(in file: [UInt8]) -> [PNGText] { entries(in: file) { _ in true } }

    /// Those whose key is wanted.
    static func entries(in file: [UInt8], where isWanted: (String) -> Bool) -> [PNGText] {
        var result: [PNGText] = []
        var total = 0
        let kinds: [String: (ArraySlice<UInt8>) -> Entry?] = ["tEXt": plain, "zTXt": compressed, "iTXt": international]
        for chunk in PNGChunks.chunks(of: file) {
            guard let entry = kinds[chunk.type]?(chunk.content), isWanted(entry.key) else { continue }
            guard let text = entry.text(), total + text.utf8.count <= largestTotal, result.count < mostEntries else { continue }
            total += text.utf8.count
            result.append(PNGText(key: entry.key, text: text))
        }
        return result
    }

    /// A chunk's parts before its text is decompressed.
    private struct Entry {
        let key: String
        let bytes: ArraySlice<UInt8>
        let isCompressed: Bool
        let isUTF8: Bool

        func text() -> String? {
            guard isCompressed else { return decoded(bytes) }
            return Zlib.inflated(zlib: bytes, limit: PNGText.largestText).map { decoded($0[...]) }
        }

        private func decoded(_ bytes: ArraySlice<UInt8>) -> String {
            isUTF8 ? String(decoding: bytes, as: UTF8.self) : PNGText.latin1(bytes)
        }
    }

    /// Key, 0, Latin-1 text.
    private static func plain(_ body: ArraySlice<UInt8>) -> Entry? {
        guard let zero = body.firstIndex(of: 0) else { return nil }
        return Entry(key: latin1(body[..<zero]), bytes: body[(zero + 1)...], isCompressed: false, isUTF8: false)
    }

    /// Key, 0, compression method, compressed Latin-1 text.
    private static func compressed(_ body: ArraySlice<UInt8>) -> Entry? {
        guard let zero = body.firstIndex(of: 0), zero + 1 < body.endIndex, body[zero + 1] == 0 else { return nil }
        return Entry(key: latin1(body[..<zero]), bytes: body[(zero + 2)...], isCompressed: true, isUTF8: false)
    }

    /// Key, 0, compression flag and method, language, 0, translated key, 0, UTF-8 text.
    private static func international(_ body: ArraySlice<UInt8>) -> Entry? {
        guard let keyEnd = body.firstIndex(of: 0), keyEnd + 2 < body.endIndex, body[keyEnd + 1] <= 1, body[keyEnd + 2] == 0,
            let languageEnd = body[(keyEnd + 3)...].firstIndex(of: 0),
            let translatedEnd = body[(languageEnd + 1)...].firstIndex(of: 0)
        else { return nil }
        return Entry(
            key: latin1(body[..<keyEnd]), bytes: body[(translatedEnd + 1)...], isCompressed: body[keyEnd + 1] == 1, isUTF8: true
        )
    }

    private static func latin1(_ bytes: ArraySlice<UInt8>) -> String {
        String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    /// A `tEXt` chunk where the text is Latin-1, else `iTXt`.
    private func chunk() throws -> [UInt8] {
        let keyBytes = Array(key.utf8)
        guard (1...79).contains(keyBytes.count), keyBytes.allSatisfy({ (32...126).contains($0) }) else {
            throw ImageError.invalidText(reason: "a key has 1 to 79 printable ASCII characters")
        }
        let scalars = text.unicodeScalars.map(\.value)
        guard !scalars.contains(0), text.utf8.count <= 1 << 24 else {
            throw ImageError.invalidText(reason: "a text has at most 16 MB and no zero character")
        }
        var body: [UInt8]
        if scalars.allSatisfy({ $0 < 256 }) {
            body = Array("tEXt".utf8) + keyBytes + [0] + scalars.map { UInt8(truncatingIfNeeded: $0) }
        } else {
            body = Array("iTXt".utf8) + keyBytes + [0, 0, 0, 0, 0] + Array(text.utf8)
        }
        let length = Self.bigEndian(UInt32(body.count - 4))
        body += Self.bigEndian(Self.checksum(body))
        return length + body
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// CRC-32 (PNG specification, annex D: polynomial 0xEDB88320, reflected).
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var remainder = UInt32.max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 {
                remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0xEDB8_8320 : remainder >> 1
            }
        }
        return ~remainder
    }
}
