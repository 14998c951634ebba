/// A directory of EXIF's data: a list of tags with their values (TIFF 6.0, section 2; CIPA DC-008, 4.6).
struct TIFFDirectory {
    /// A TIFF structure, perhaps behind the `Exif\0\0` that JPEG has.
    struct File {
        fileprivate let bytes: [UInt8]
        /// Whether numbers begin with their highest byte.
        let isBigEndian: Bool

        init?(_ exif: [UInt8]) {
            let mark = Array("Exif\0\0".utf8)
            bytes = exif.starts(with: mark) ? Array(exif.dropFirst(mark.count)) : exif
            guard bytes.count >= 8 else { return nil }
            switch (bytes[0], bytes[1]) {
            case (0x4D, 0x4D): isBigEndian = true
            case (0x49, 0x49): isBigEndian = false
            default: return nil
            }
        }

        /// A number of one to four bytes; nil where the structure ends before.
        fileprivate func number(_ start: Int, size: Int) -> Int? {
            guard start >= 0, start <= bytes.count - size else { return nil }
            let part = bytes[start..<start + size]
            return (isBigEndian ? Array(part) : part.reversed()).reduce(0) { $0 << 8 | Int($1) }
        }

        /// The first directory.
        var first: TIFFDirectory? { number(4, size: 4).flatMap(directory) }

        /// The directory at a place that another one names.
        func directory(at start: Int) -> TIFFDirectory? {
            number(start, size: 2).map { TIFFDirectory(file: self, start: start, count: $0) }
        }
    }

    /// One tag's value.
    struct Entry {
        fileprivate let file: File
        fileprivate let start: Int

        private var type: Int? { file.number(start + 2, size: 2) }

        /// Of bytes, shorts and longs: the value lies at the start of its four bytes.
        var number: Int? {
            guard let type, let size = [1: 1, 3: 2, 4: 4][type] else { return nil }
            return file.number(start + 8, size: size)
        }

        /// Of bytes of no further meaning.
        var bytes: ArraySlice<UInt8>? {
            guard type == 7 || type == 1 || type == 2, let count = file.number(start + 4, size: 4) else { return nil }
            let place = count <= 4 ? start + 8 : file.number(start + 8, size: 4)
            guard let place, place <= file.bytes.count, count <= file.bytes.count - place else { return nil }
            return file.bytes[place..<place + count]
        }
    }

    private let file: File
    private let start: Int
    private let count: Int

    fileprivate init(file: File, start: Int, count: Int) {
        (self.file, self.start, self.count) = (file, start, count)
    }

    /// The first value of a tag; nil where the directory has none, or ends before it.
    func entry(_ tag: Int) -> Entry? {
        for index in 0..<count {
            let place = start + 2 + 12 * index
            guard let found = file.number(place, size: 2), file.number(place + 2, size: 2) != nil else { return nil }
            if found == tag { return Entry(file: file, start: place) }
        }
        return nil
    }
}
