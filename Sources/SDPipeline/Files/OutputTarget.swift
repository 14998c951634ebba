import Foundation

/// Where the content of an output goes, behind the links that its name may be.
enum OutputTarget {
    /// A file that is made, or the one with this status that is replaced.
    case file(path: String, existing: stat?)
    /// A device, a pipe or a socket.
    case stream(path: String)
    /// A descriptor that the process has open, such as `/dev/stdout`.
    case descriptor(Int32)

    /// As many links behind one another as Linux follows.
    private static let mostLinks = 40

    /// - Throws: ``AtomicFile/WriteError`` where nothing can be written there.
    init(_ url: URL) throws(AtomicFile.WriteError) {
        let given = url.path
        var path = given
        for _ in 0...Self.mostLinks {
            if let number = Self.descriptor(path) {
                let flags = fcntl(number, F_GETFL)
                guard flags != -1 else { throw .init(path: given) }
                guard flags & O_ACCMODE != O_RDONLY else { throw .init(path: given, reason: "it is open for reading only") }
                self = .descriptor(number)
                return
            }
            var status = stat()
            if unsafe stat(path, &status) == 0 {
                switch status.st_mode & S_IFMT {
                case S_IFREG: break
                case S_IFDIR: throw .init(path: given, reason: "it is a folder")
                default:
                    guard unsafe access(path, W_OK) == 0 else { throw .init(path: given) }
                    self = .stream(path: path)
                    return
                }
            } else if errno != ENOENT {
                throw .init(path: given)
            }
            guard let next = try Self.link(path, given) else {
                self = .file(path: path, existing: try Self.existing(path, given, isFolder: url.hasDirectoryPath))
                return
            }
            path = next
        }
        throw unsafe .init(path: given, reason: String(cString: strerror(ELOOP)))
    }

    /// The folder that a path's last name is in.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The number of the descriptor that a path stands for; nil for other paths.
    private static func descriptor(_ path: String) -> Int32? {
        switch path {
        case "/dev/stdout": return STDOUT_FILENO
        case "/dev/stderr": return STDERR_FILENO
        default:
            for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
                return Int32(path.dropFirst(folder.count))
            }
            return nil
        }
    }

    /// What a symbolic link names; nil for anything else.
    private static func link(_ path: String, _ given: String) throws(AtomicFile.WriteError) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink(path, &buffer, buffer.count)
        guard count >= 0 else { return nil }
        guard let target = String(validating: buffer[..<count], as: UTF8.self) else {
            throw .init(path: given, reason: "\(path) is a link to a name that isn't UTF-8")
        }
        return target.hasPrefix("/") ? target : folder(of: path) + "/" + target
    }

    /// The status of a regular file that may be replaced; nil where there is none yet.
    private static func existing(_ path: String, _ given: String, isFolder: Bool) throws(AtomicFile.WriteError) -> stat? {
        let place = folder(of: path)
        var parent = stat()
        guard unsafe stat(place, &parent) == 0 else { throw .init(path: given, reason: "there is no folder \(place)") }
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else {
            guard errno == ENOENT else { throw .init(path: given) }
            if isFolder { throw .init(path: given, reason: "there is no folder \(path), and a file's name is expected") }
            return nil
        }
        // Root may write to it all the same, but whoever took the permission away wants it kept.
        guard status.st_mode & 0o222 != 0 else { throw .init(path: given, reason: "it is read-only") }
        guard unsafe access(path, W_OK) == 0 else { throw .init(path: given) }
        let user = geteuid()
        if parent.st_mode & S_ISVTX != 0, user != 0, user != status.st_uid, user != parent.st_uid {
            throw .init(path: given, reason: "\(place) lets only a file's owner replace it")
        }
        return status
    }
}
