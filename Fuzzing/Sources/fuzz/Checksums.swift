/// The checksums of PNG chunks, CRC-32 of type and content (PNG specification, third edition, section 5.5 and annex D), and of the files of
/// zip archives, the same of their content (APPNOTE.TXT 6.3.10, section 4.4.7).
enum Checksums {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { rest, _ in rest & 1 == 1 ? 0xEDB8_8320 ^ rest >> 1 : rest >> 1 }
    }

    static func repaired(_ file: [UInt8]) -> [UInt8] {
        var file = file
        var start = 8
        // A chunk is its length, its type, as many bytes, and the checksum of the last two.
        while start + 12 <= file.count {
            let length = file[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
            let end = start + 8 + length
            guard end + 4 <= file.count else { break }
            let sum = checksum(of: file[start + 4..<end])
            for index in 0..<4 { file[end + index] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * index)) }
            start = end + 4
        }
        return file
    }

    /// Only of files that are stored: what others hold isn't known before they are inflated.
    static func repairedArchive(_ file: [UInt8]) -> [UInt8] {
        var file = file
        func number(_ place: Int, _ size: Int) -> Int {
            guard place >= 0, place <= file.count - size else { return 0 }
            return file[place..<place + size].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        // An entry of the directory at the end: 46 bytes and its name.
        guard file.count >= 46 else { return file }
        for entry in 0...file.count - 46 where number(entry, 4) == 0x0201_4B50 && number(entry + 10, 2) == 0 {
            let (header, size) = (number(entry + 42, 4), number(entry + 20, 4))
            let start = header + 30 + number(header + 26, 2) + number(header + 28, 2)
            guard start <= file.count, size <= file.count - start else { continue }
            let sum = checksum(of: file[start..<start + size])
            for index in 0..<4 { file[entry + 16 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
        }
        return file
    }

    private static func checksum(of bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
    }
}
