/// The files that a request's picture and noise come from, as pictures name them.
public struct InputFiles: Sendable, Equatable {
    /// A file by its name, without folders, and the SHA-256 of its bytes.
    public struct File: Sendable, Equatable, Codable {
        /// Its name, without folders.
        public var name: String
        /// 64 hexadecimal digits.
        public var sha256: String

        /// A file that was hashed before.
        public init(name: String, sha256: String) {
            self.name = name
            self.sha256 = sha256
        }

        /// A file with what is in it.
        ///
        /// - Parameters:
        ///   - path: where the file lies, of which the last part is kept.
        ///   - bytes: what is in it.
        public init(path: String, bytes: [UInt8]) {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            self.init(name: name, sha256: SHA256.hexadecimal(of: bytes))
        }
    }

    /// Where ``GenerationRequest/initialImage`` comes from.
    public var initialImage: File?
    /// Where ``GenerationRequest/initialLatents`` comes from.
    public var initialLatents: File?
    /// Where the mask of ``GenerationRequest/inpainting`` comes from.
    public var mask: File?

    /// Files, each nil where none is known.
    public init(initialImage: File? = nil, initialLatents: File? = nil, mask: File? = nil) {
        self.initialImage = initialImage
        self.initialLatents = initialLatents
        self.mask = mask
    }
}
