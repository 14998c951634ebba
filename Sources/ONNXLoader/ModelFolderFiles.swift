import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Opens the files that a model names beside itself.
///
/// Which files a model may read: its location is a relative path that stays in the model's folder, and no part of it is hidden (begins
/// with a full stop), so that a model which was saved in a home folder can't make its weights out of keys. The path is opened part by
/// part, from the folder on, and no symbolic link is followed: what was checked is what is read.
///
/// One exception: where the model file itself is a symbolic link, the last part may be one too, if it leads into the very folder that
/// the model's leads into. The cache of the Hugging Face hub is laid out so (`model.onnx` and `model.onnx_data` are links into one
/// folder of blobs), and whoever opened the model chose that folder with it.
struct ModelFolderFiles {
    private let folder: String
    private let modelPath: String?

    /// - Parameters:
    ///   - folder: The model's folder; links in this path are followed, as who opened the model named it.
    ///   - modelPath: The model file, nil where the model was given as bytes.
    init(folder: String, modelPath: String?) {
        self.folder = folder
        self.modelPath = modelPath
    }

    /// The parts of a location, without `.` and with each `..` taken off the part before it.
    ///
    /// - Throws: ``LoadError`` of kind `externalData` for a path that is absolute, leaves the folder or has a hidden part.
    static func components(_ location: String) throws(LoadError) -> [String] {
        let name = location.shortened(to: String.longestName)
        // By bytes: a mark that follows a slash makes another Character of it.
        let bytes = Array(location.utf8)
        guard bytes.first != UInt8(ascii: "/") else {
            throw LoadError(.externalData, "the location \"\(name)\" of external data is an absolute path")
        }
        var parts: [String] = []
        for part in bytes.split(separator: UInt8(ascii: "/")) {
            let text = String(decoding: part, as: UTF8.self)
            if text == "." { continue }
            guard text != ".." else {
                guard parts.popLast() != nil else {
                    throw LoadError(.externalData, "the location \"\(name)\" of external data leaves the model's folder")
                }
                continue
            }
            parts.append(text)
        }
        if let hidden = parts.first(where: isHidden) {
            throw LoadError(
                .externalData,
                "the location \"\(name)\" of external data names the hidden file or folder \"\(hidden.shortened(to: String.longestName))\", "
                    + "which a model may not read")
        }
        guard !parts.isEmpty else {
            throw LoadError(.externalData, "the location \"\(name)\" of external data names no file")
        }
        return parts
    }

    private static func isHidden(_ part: String) -> Bool { part.utf8.first == UInt8(ascii: ".") }

    /// Maps a file.
    ///
    /// - Parameters:
    ///   - parts: what ``components(_:)`` made of the location.
    ///   - location: for messages.
    /// - Throws: ``LoadError`` of kind `externalData`, or `file` where the file can't be opened.
    func map(_ parts: [String], location: String) throws(LoadError) -> TensorStorage {
        let path = folder + "/" + location.shortened(to: String.longestName)
        var current = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard current >= 0 else { throw MappedFile.failure("can't open the model's folder", folder) }
        defer { close(current) }
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            let flags = isLast ? O_RDONLY | O_NONBLOCK : O_RDONLY | O_DIRECTORY
            let next = unsafe openat(current, part, flags | O_NOFOLLOW | O_CLOEXEC)
            if next < 0 {
                let number = errno
                if isLink(part, in: current) {
                    guard isLast else { throw link(location) }
                    return try mapLinked(part, in: current, location: location)
                }
                throw Self.failure(number, location, path)
            }
            close(current)
            current = next
        }
        return try MappedFile.map(descriptor: current, path: path)
    }

    /// A file behind a link, where the model file is a link into the same folder.
    private func mapLinked(_ part: String, in directory: Int32, location: String) throws(LoadError) -> TensorStorage {
        guard let modelPath, isLink(modelPath, in: AT_FDCWD), let model = MappedFile.realPath(modelPath),
            let target = Self.target(of: part, in: directory)
        else { throw link(location) }
        let (modelFolder, _) = Self.split(model)
        let (given, name) = Self.split(target)
        // Where the link is relative, it starts from its own folder.
        let start = given.utf8.first == UInt8(ascii: "/") ? AT_FDCWD : directory
        let folder = unsafe openat(start, given.isEmpty ? "." : given, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Self.failure(errno, location, target) }
        defer { close(folder) }
        guard Self.isSame(folder, modelFolder), !Self.isHidden(name), name != "", name != ".." else { throw link(location) }
        let descriptor = unsafe openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if isLink(name, in: folder) { throw link(location) }
            throw Self.failure(errno, location, target)
        }
        defer { close(descriptor) }
        return try MappedFile.map(descriptor: descriptor, path: modelFolder + "/" + name)
    }

    private func link(_ location: String) -> LoadError {
        LoadError(
            .externalData,
            "the location \"\(location.shortened(to: String.longestName))\" of external data is a symbolic link, or leads through one; one "
                + "is followed only where the model file is a link too and both lead into one folder")
    }

    private static func failure(_ number: Int32, _ location: String, _ path: String) -> LoadError {
        let name = location.shortened(to: String.longestName)
        switch number {
        case ENOENT: return LoadError(.externalData, "the file \"\(name)\" of external data doesn't exist")
        case ENOTDIR: return LoadError(.externalData, "the file \"\(name)\" of external data doesn't exist: its folder is none")
        default: return LoadError(.file, unsafe "can't open the file: \(String(cString: strerror(number)))", file: path)
        }
    }

    private func isLink(_ path: String, in directory: Int32) -> Bool {
        var status = stat()
        return unsafe fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    private static func target(of link: String, in directory: Int32) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else { return 0 }
            return unsafe readlinkat(directory, link, start, bytes.count)
        }
        return count > 0 && count < buffer.count ? String(validating: buffer[..<count], as: UTF8.self) : nil
    }

    /// Whether an open folder is the one at `path`.
    private static func isSame(_ folder: Int32, _ path: String) -> Bool {
        var (first, second) = (stat(), stat())
        return unsafe fstat(folder, &first) == 0 && stat(path, &second) == 0 && first.st_dev == second.st_dev
            && first.st_ino == second.st_ino
    }

    /// A path's folder, empty where it has none, and its last part.
    private static func split(_ path: String) -> (folder: String, name: String) {
        let bytes = Array(path.utf8)
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        return (
            slash == 0 ? "/" : String(decoding: bytes[..<slash], as: UTF8.self),
            String(decoding: bytes[(slash + 1)...], as: UTF8.self)
        )
    }
}
