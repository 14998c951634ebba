import ONNXLoader

/// What a file is that lies where a PNG or JPEG was expected, by the bytes that its format begins with.
enum ForeignPicture {
    private static let starts: [(name: String, offset: Int, bytes: [UInt8])] = [
        ("a GIF picture", 0, Array("GIF8".utf8)),
        ("a WebP picture", 8, Array("WEBP".utf8)),
        ("a bitmap (BMP)", 0, Array("BM".utf8)),
        ("a TIFF picture", 0, [0x49, 0x49, 0x2A, 0x00]),
        ("a TIFF picture", 0, [0x4D, 0x4D, 0x00, 0x2A]),
        ("a TIFF picture", 0, [0x49, 0x49, 0x2B, 0x00]),
        ("a TIFF picture", 0, [0x4D, 0x4D, 0x00, 0x2B]),
        ("a JPEG XL picture", 0, [0xFF, 0x0A]),
        ("a JPEG XL picture", 4, Array("JXL ".utf8)),
        ("a JPEG 2000 picture", 0, [0xFF, 0x4F, 0xFF, 0x51]),
        ("a JPEG 2000 picture", 4, Array("jP  ".utf8)),
        ("an icon", 0, [0x00, 0x00, 0x01, 0x00]),
        ("a Photoshop file", 0, Array("8BPS".utf8)),
        ("a GIMP file", 0, Array("gimp xcf".utf8)),
        ("an OpenEXR picture", 0, [0x76, 0x2F, 0x31, 0x01]),
        ("a Radiance HDR picture", 0, Array("#?R".utf8)),
        ("a QOI picture", 0, Array("qoif".utf8)),
        ("a PDF document", 0, Array("%PDF".utf8)),
        ("a PostScript document", 0, Array("%!PS".utf8)),
        ("an SVG drawing", 0, Array("<svg".utf8)),
        ("an XML document, as SVG drawings are", 0, Array("<?xml".utf8)),
        ("a .npy array", 0, [0x93] + Array("NUMPY".utf8)),
        ("a zip archive", 0, Array("PK\u{3}\u{4}".utf8)),
    ]

    /// The brands of `ftyp`, the box that ISO media files begin with (ISO/IEC 14496-12, 4.3).
    private static let brands: [(name: String, brands: Set<String>)] = [
        ("an AVIF picture", ["avif", "avis"]),
        ("a HEIC picture", ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"]),
    ]

    /// A name for a sentence, `a GIF picture`, with what helps where there is more to say than that; nil for bytes that tell nothing.
    ///
    /// - Parameter bytes: the file from its start.
    static func name(_ bytes: [UInt8]) -> String? {
        if bytes.isEmpty { return "empty" }
        if let placeholder = ForeignFormat.placeholder(Array(bytes.prefix(ForeignFormat.headLength))) {
            return "\(placeholder.name) (\(placeholder.advice))"
        }
        if let known = starts.first(where: { bytes.dropFirst($0.offset).starts(with: $0.bytes) }) { return known.name }
        // P1 to P7 and white space.
        if bytes.count > 2, bytes[0] == UInt8(ascii: "P"), (0x31...0x37).contains(bytes[1]),
            [0x09, 0x0A, 0x0D, 0x20].contains(bytes[2])
        {
            return "a portable map (PBM, PGM, PPM or PAM)"
        }
        return media(bytes)
    }

    /// The main brand decides, and where it is that of HEIF in general, the compatible ones.
    private static func media(_ bytes: [UInt8]) -> String? {
        guard bytes.dropFirst(4).starts(with: Array("ftyp".utf8)), bytes.count >= 12 else { return nil }
        func brand(_ start: Int) -> String { String(decoding: bytes[start..<start + 4], as: UTF8.self) }
        let size = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        let compatible = stride(from: 16, through: min(size, bytes.count, 256) - 4, by: 4).map(brand)
        for candidate in [brand(8)].filter({ $0 != "mif1" && $0 != "msf1" }) + compatible + [brand(8)] {
            if let known = brands.first(where: { $0.brands.contains(candidate) && candidate != "mif1" && candidate != "msf1" })
            {
                return known.name
            }
        }
        return brands.contains { $0.brands.contains(brand(8)) } ? "a HEIF picture" : "a video, or another ISO media file"
    }
}
