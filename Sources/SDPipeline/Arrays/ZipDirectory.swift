import ONNXLoader

/// One file of a zip archive, as the archive's directory describes it.
struct ZipEntry: Sendable {
    let name: String
    /// 0 stored, 8 deflated.
    let method: Int
    let checksum: UInt32
    let compressedSize: Int
    let size: Int
    /// Where its local header begins.
    let offset: Int

    /// Deflate makes at most 258 bytes of two bits.
    private static let largestRatio = 1032

    /// The file's bytes; no more memory than they take is touched.
    ///
    /// - Parameter limit: the most bytes that it may have.
    /// - Throws: ``NPZError``.
    func content(in archive: [UInt8], limit: Int) throws -> [UInt8] {
        let reader = ZipReader(archive)
        guard try reader.number(offset, 4) == 0x0403_4B50 else { throw NPZError("its place in the archive has no header") }
        let start = try offset + 30 + reader.number(offset + 26, 2) + reader.number(offset + 28, 2)
        guard start <= archive.count, compressedSize <= archive.count - start else {
            throw NPZError("it ends behind the end of the file")
        }
        guard size <= limit else { throw NPZError("it has \(size) bytes, expected at most \(limit)") }
        let data = archive[start..<start + compressedSize]
        let result: [UInt8]
        switch method {
        case 0:
            guard size == compressedSize else {
                throw NPZError("it is stored in \(compressedSize) bytes and said to have \(size)")
            }
            try ask(size)
            result = Array(data)
        case 8:
            guard size / Self.largestRatio <= compressedSize else {
                throw NPZError("\(compressedSize) compressed bytes can't be \(size) bytes")
            }
            try ask(size)
            result = try Zlib.inflated(data, size: size)
        default: throw NPZError("its compression method is \(method), expected 0 (stored) or 8 (deflate)")
        }
        guard Zlib.checksum(result) == checksum else { throw NPZError("its checksum is wrong: the file is damaged") }
        return result
    }

    private func ask(_ count: Int) throws {
        guard LargeArray.fits(bytes: count) else {
            throw NPZError("there is too little memory for it: \(count) bytes are needed at once")
        }
    }
}

/// The directory at a zip archive's end.
enum ZipDirectory {
    private static let largestCount = 1 << 16

    static func entries(_ bytes: [UInt8]) throws -> [ZipEntry] {
        let reader = ZipReader(bytes)
        guard let end = endRecord(bytes) else {
            throw NPZError("it isn't a zip archive, or its end is missing")
        }
        var (count, offset) = (try reader.number(end + 10, 2), try reader.number(end + 16, 4))
        if count == 0xFFFF || offset == 0xFFFF_FFFF, end >= 20, try reader.number(end - 20, 4) == 0x0706_4B50 {
            let record = try reader.number(end - 12, 8)
            guard try reader.number(record, 4) == 0x0606_4B50 else { throw NPZError("its zip64 directory isn't where it says") }
            (count, offset) = (try reader.number(record + 32, 8), try reader.number(record + 48, 8))
        }
        guard count <= largestCount else { throw NPZError("it has \(count) files, expected at most \(largestCount)") }
        var result: [ZipEntry] = []
        for _ in 0..<count {
            guard try reader.number(offset, 4) == 0x0201_4B50 else { throw NPZError("its directory is damaged or cut off") }
            let lengths = try [28, 30, 32].map { try reader.number(offset + $0, 2) }
            result.append(try entry(reader, offset, nameLength: lengths[0], extraLength: lengths[1]))
            offset += 46 + lengths.reduce(0, +)
        }
        return result
    }

    /// Where the record that ends the archive begins; a comment may follow it.
    private static func endRecord(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 22 else { return nil }
        let last = bytes.count - 22
        return (max(last - 0xFFFF, 0)...last).last { bytes[$0..<$0 + 4].elementsEqual([0x50, 0x4B, 0x05, 0x06]) }
    }

    private static func entry(_ reader: ZipReader, _ offset: Int, nameLength: Int, extraLength: Int) throws -> ZipEntry {
        guard let name = String(validating: try reader.bytes(offset + 46, nameLength), as: UTF8.self) else {
            throw NPZError("a file's name isn't UTF-8 text")
        }
        guard try reader.number(offset + 8, 2) & 1 == 0 else { throw NPZError("\(NPZArchive.shown(name)) is encrypted") }
        // What doesn't fit 32 bits is in the extra field 1, in this order.
        var wide = try wideNumbers(reader, offset + 46 + nameLength, extraLength)[...]
        func number(_ position: Int) throws -> Int {
            let value = try reader.number(offset + position, 4)
            guard value == 0xFFFF_FFFF, let large = wide.popFirst() else { return value }
            return large
        }
        let size = try number(24)
        let compressedSize = try number(20)
        return ZipEntry(
            name: name, method: try reader.number(offset + 10, 2),
            checksum: UInt32(truncatingIfNeeded: try reader.number(offset + 16, 4)), compressedSize: compressedSize, size: size,
            offset: try number(42))
    }

    private static func wideNumbers(_ reader: ZipReader, _ start: Int, _ length: Int) throws -> [Int] {
        var position = start
        while position + 4 <= start + length {
            let (id, size) = (try reader.number(position, 2), try reader.number(position + 2, 2))
            if id == 1, position + 4 + size <= start + length {
                return try (0..<size / 8).map { try reader.number(position + 4 + 8 * $0, 8) }
            }
            position += 4 + size
        }
        return []
    }
}

/// Little-endian numbers of an archive, with a check of every place.
struct ZipReader {
    private let content: [UInt8]

    init(_ bytes: [UInt8]) { content = bytes }

    func bytes(_ start: Int, _ count: Int) throws -> ArraySlice<UInt8> {
        guard start >= 0, start <= content.count, count <= content.count - start else {
            throw NPZError("it is damaged or cut off: something should be at byte \(start)")
        }
        return content[start..<start + count]
    }

    func number(_ start: Int, _ size: Int) throws -> Int {
        let value = try bytes(start, size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // Far below Int.max, so that sums of a few can't overflow.
        guard value < 1 << 60 else { throw NPZError("it states the impossible size or place \(value)") }
        return Int(value)
    }
}

/// Makes a zip archive of stored files.
struct ZipWriter {
    private var content: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0

    mutating func add(_ name: String, _ data: [UInt8]) {
        let checksum = Zlib.checksum(data)
        let start = content.count
        let isWide = data.count >= 0xFFFF_FFFF || start >= 0xFFFF_FFFF
        // Version 2.0, or 4.5 for zip64; names in UTF-8; stored; 1 January 1980, which says nothing.
        let common =
            Self.bytes(isWide ? 45 : 20, 2) + Self.bytes(0x800, 2) + Self.bytes(0, 2) + Self.bytes(0, 2)
            + Self.bytes(0x21, 2) + Self.bytes(Int(checksum), 4)
        let shortSize = Self.bytes(isWide ? 0xFFFF_FFFF : data.count, 4)
        let name = Array(name.utf8)
        let sizes = Self.bytes(data.count, 8) + Self.bytes(data.count, 8)
        let extra = isWide ? Self.bytes(1, 2) + Self.bytes(16, 2) + sizes : []
        content += Self.bytes(0x0403_4B50, 4) + common + shortSize + shortSize
        content += Self.bytes(name.count, 2) + Self.bytes(extra.count, 2) + name + extra + data
        let placed = isWide ? Self.bytes(1, 2) + Self.bytes(24, 2) + sizes + Self.bytes(start, 8) : []
        directory += Self.bytes(0x0201_4B50, 4) + Self.bytes(isWide ? 45 : 20, 2) + common + shortSize + shortSize
        directory += Self.bytes(name.count, 2) + Self.bytes(placed.count, 2) + [UInt8](repeating: 0, count: 10)
        directory += Self.bytes(isWide ? 0xFFFF_FFFF : start, 4) + name + placed
        count += 1
    }

    func finished() -> [UInt8] {
        let start = content.count
        var result = content + directory
        let isWide = start >= 0xFFFF_FFFF || count >= 0xFFFF
        if isWide {
            let record = result.count
            result += Self.bytes(0x0606_4B50, 4) + Self.bytes(44, 8) + Self.bytes(45, 2) + Self.bytes(45, 2)
            result += Self.bytes(0, 8) + Self.bytes(count, 8) + Self.bytes(count, 8)
            result += Self.bytes(directory.count, 8) + Self.bytes(start, 8)
            result += Self.bytes(0x0706_4B50, 4) + Self.bytes(0, 4) + Self.bytes(record, 8) + Self.bytes(1, 4)
        }
        result += Self.bytes(0x0605_4B50, 4) + Self.bytes(0, 4)
        result += Self.bytes(min(count, 0xFFFF), 2) + Self.bytes(min(count, 0xFFFF), 2) + Self.bytes(directory.count, 4)
        return result + Self.bytes(isWide ? 0xFFFF_FFFF : start, 4) + Self.bytes(0, 2)
    }

    private static func bytes(_ number: Int, _ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}
