/// The segments of a JPEG file before its first scan (ITU-T T.81, B.1.1.4): a marker, a length and content each.
enum JPEGSegments {
    struct Segment {
        /// The second byte of the marker.
        let marker: UInt8
        let content: ArraySlice<UInt8>
    }

    /// EXIF and XMP.
    static let application1: UInt8 = 0xE1
    private static let startOfScan: UInt8 = 0xDA
    private static let endOfImage: UInt8 = 0xD9

    /// The whole segments, in order, up to the first scan or the first damage.
    static func segments(of file: [UInt8]) -> some Sequence<Segment> {
        // Behind the start of the image.
        sequence(state: 2) { position -> Segment? in
            while position + 1 < file.count {
                // Between segments there may be any number of fill bytes, and what libjpeg skips too.
                guard file[position] == 0xFF, file[position + 1] != 0xFF, file[position + 1] != 0 else {
                    position += 1
                    continue
                }
                let marker = file[position + 1]
                if marker == startOfScan || marker == endOfImage { return nil }
                position += 2
                // Restart markers, and one that means nothing, stand alone.
                if marker == 0x01 || (0xD0...0xD8).contains(marker) { continue }
                guard position + 2 <= file.count else { return nil }
                let end = position + (Int(file[position]) << 8 | Int(file[position + 1]))
                guard end >= position + 2, end <= file.count else { return nil }
                let content = file[position + 2..<end]
                position = end
                return Segment(marker: marker, content: content)
            }
            return nil
        }
    }

    /// What the segments with this marker and start hold behind it, one after another: Exif of more than 64 KB is divided so.
    static func content(of file: [UInt8], marker: UInt8, start: [UInt8]) -> [UInt8]? {
        let parts = segments(of: file).filter { $0.marker == marker && $0.content.starts(with: start) }
        return parts.isEmpty ? nil : parts.flatMap { $0.content.dropFirst(start.count) }
    }
}
