/// The settings of a picture in a JPEG: the user's comment of EXIF, where AUTOMATIC1111's web interface has them, too.
enum JPEGComment {
    /// A segment's length has 16 bits.
    private static let mostBytes = 65_533

    /// Puts a comment into a JPEG; one that no segment holds is left out.
    static func adding(_ text: String?, to jpeg: [UInt8]) -> [UInt8] {
        guard let text else { return jpeg }
        let segment = Self.segment(text)
        guard jpeg.starts(with: [0xFF, 0xD8]), segment.count <= mostBytes else { return jpeg }
        let length = segment.count + 2
        return jpeg[..<2] + [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 0xFF)] + segment + jpeg[2...]
    }

    /// TIFF's header, a directory with the one of EXIF, and that with the comment, each with one entry (EXIF 2.32, 4.5 and 4.6).
    private static func segment(_ text: String) -> [UInt8] {
        let comment = [UInt8]("UNICODE\0".utf8) + text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        func directory(tag: Int, type: UInt8, count: Int, value: Int) -> [UInt8] {
            [0, 1, UInt8(tag >> 8), UInt8(tag & 0xFF), 0, type] + number(count) + number(value) + number(0)
        }
        // From the start of TIFF's header: 8 bytes, and 18 for each directory.
        return [UInt8]("Exif\0\0MM\0*".utf8) + number(8) + directory(tag: 0x8769, type: 4, count: 1, value: 26)
            + directory(tag: 0x9286, type: 7, count: comment.count, value: 44) + comment
    }
}
