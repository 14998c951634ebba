/// How a stored picture has to be turned to be seen upright: EXIF's Orientation, tag 274 (CIPA DC-008, 4.6.4). The raw values are EXIF's.
enum ImageOrientation: Int, Sendable {
    case upright = 1
    case mirrored = 2
    case upsideDown = 3
    case flipped = 4
    /// Rows are columns.
    case transposed = 5
    /// To be turned clockwise by a quarter.
    case quarterLeft = 6
    case transverse = 7
    /// To be turned counterclockwise by a quarter.
    case quarterRight = 8

    /// Whether the upright picture is as wide as the stored one is high.
    var swapsAxes: Bool { rawValue >= 5 }

    /// What a PNG says, in its `eXIf` chunk, else in XMP (`tiff:Orientation`), as Pillow's `exif_transpose` looks it up.
    init(png file: [UInt8]) {
        let exif = PNGChunks.chunks(of: file).first { $0.type == "eXIf" }
        let xmp = PNGText.entries(in: file) { $0 == "XML:com.adobe.xmp" }.first
        self = exif.flatMap { Self(exif: Array($0.content)) } ?? xmp.flatMap { Self(xmp: $0.text) } ?? .upright
    }

    /// What a JPEG says in the segments of Exif, else in those of XMP, as Pillow's `exif_transpose` looks it up.
    init(jpeg file: [UInt8]) {
        func content(_ start: String) -> [UInt8]? {
            JPEGSegments.content(of: file, marker: JPEGSegments.application1, start: Array(start.utf8))
        }
        self =
            content("Exif\0\0").flatMap { Self(exif: $0) }
            ?? content("http://ns.adobe.com/xap/1.0/\0").flatMap { Self(xmp: String(decoding: $0, as: UTF8.self)) } ?? .upright
    }

    private init?(exif: [UInt8]) {
        guard let file = TIFFDirectory.File(exif), let directory = file.first,
            let entry = directory.entry(0x0112), let value = entry.number
        else { return nil }
        self.init(rawValue: value)
    }

    /// - Parameter xmp: RDF, in which the orientation is an attribute or an element.
    private init?(xmp: String) {
        guard let match = xmp.firstMatch(of: /tiff:Orientation(?:="|>)([0-9])/), let value = Int(match.1) else { return nil }
        self.init(rawValue: value)
    }

    /// The stored picture turned.
    func upright(_ stored: Raster) -> Raster {
        if self == .upright { return stored }
        let (lastX, lastY, channels) = (stored.width - 1, stored.height - 1, stored.channels)
        let (width, height) = swapsAxes ? (stored.height, stored.width) : (stored.width, stored.height)
        let source = stored.values
        var values = [UInt8](repeating: 0, count: source.count)
        for y in 0..<height {
            for x in 0..<width {
                let (sourceX, sourceY) =
                    switch self {
                    case .upright: (x, y)
                    case .mirrored: (lastX - x, y)
                    case .upsideDown: (lastX - x, lastY - y)
                    case .flipped: (x, lastY - y)
                    case .transposed: (y, x)
                    case .quarterLeft: (y, lastY - x)
                    case .transverse: (lastX - y, lastY - x)
                    case .quarterRight: (lastX - y, x)
                    }
                let (from, to) = (channels * (sourceY * stored.width + sourceX), channels * (y * width + x))
                for channel in 0..<channels { values[to + channel] = source[from + channel] }
            }
        }
        return Raster(width: width, height: height, channels: channels, values: values)
    }
}
