/// The printable stand-in for each byte in which a byte-level vocabulary is written (Radford et al. 2019, GPT-2's
/// `bytes_to_unicode`): the printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100, U+0101, ….
enum ByteAlphabet {
    /// The character of each byte, indexed by the byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7e, 0xa1...0xac, 0xae...0xff:
                return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? "\u{fffd}"
            }
        }
    }()

    private static let bytes = Dictionary(uniqueKeysWithValues: zip(scalars, UInt8.min...UInt8.max))

    /// The byte that a character stands for, or nil if it stands for none.
    static func byte(of scalar: Unicode.Scalar) -> UInt8? { bytes[scalar] }
}
