/// A format of picture files that is read.
public enum PictureFormat: String, Sendable, CaseIterable {
    /// Portable Network Graphics, of every kind.
    case png = "PNG"
    /// JPEG with 8 bits a value.
    case jpeg = "JPEG"

    /// The format that a file's first bytes tell; nil for every other.
    init?(start bytes: [UInt8]) {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if bytes.starts(with: [0xFF, 0xD8]) {
            self = .jpeg
        } else {
            return nil
        }
    }
}
