/// The chunks of a PNG file (PNG specification, third edition, section 5.3): length, type, content and checksum of each.
enum PNGChunks {
    struct Chunk {
        let type: String
        let content: ArraySlice<UInt8>
        /// With length, type and checksum.
        let whole: ArraySlice<UInt8>

        /// Whether a decoder needs it: the first letter of its type is a capital.
        var isCritical: Bool { whole.dropFirst(4).first.map { $0 & 0x20 == 0 } ?? false }
    }

    private static let signatureSize = 8
    private static let end: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]

    /// The whole chunks of a file, in order, up to its end or its first damage.
    static func chunks(of file: [UInt8]) -> some Sequence<Chunk> {
        sequence(state: signatureSize) { position -> Chunk? in
            guard position + 12 <= file.count else { return nil }
            let length = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            let end = position + 12 + length
            guard end <= file.count else { return nil }
            let chunk = Chunk(
                type: String(decoding: file[position + 4..<position + 8], as: UTF8.self),
                content: file[position + 8..<end - 4], whole: file[position..<end])
            position = end
            return chunk
        }
    }

    /// The file without what doesn't change the stored values: the critical chunks, and transparency. A missing end is added, as Pillow
    /// doesn't mind it either.
    static func essential(of file: [UInt8]) -> [UInt8] {
        var result = Array(file.prefix(signatureSize))
        var position = signatureSize
        var hasEnd = false
        for chunk in chunks(of: file) {
            if chunk.isCritical || chunk.type == "tRNS" { result += chunk.whole }
            position = chunk.whole.endIndex
            hasEnd = chunk.type == "IEND"
            if hasEnd { break }
        }
        guard !hasEnd, position <= file.count else { return result }
        // What is left is no whole chunk: the end of the file was cut off.
        return result + (file.count - position < 12 ? end[...] : file[position...])
    }
}
