/// The checksums of PNG chunks: CRC-32 of type and content (PNG specification, third edition, section 5.5 and annex D).
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
            var sum = UInt32.max
            for byte in file[start + 4..<end] { sum = table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8 }
            for index in 0..<4 { file[end + index] = UInt8(truncatingIfNeeded: ~sum >> UInt32(24 - 8 * index)) }
            start = end + 4
        }
        return file
    }
}
