import Foundation

/// What the system says of a file, links followed.
struct FileStatus {
    enum Kind {
        case file, folder, other
    }

    let kind: Kind
    /// In bytes.
    let size: Int
    /// Tells this state of the file from every other file and from its own earlier states, as far as the file system keeps times: device,
    /// file number, size, and time of the last change of its contents.
    let identity: String

    /// Nil where there is no such file, or it can't be reached.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .folder
        default: kind = .other
        }
        size = Int(status.st_size)
        #if os(Linux)
            let time = status.st_mtim
        #else
            let time = status.st_mtimespec
        #endif
        identity = "\(status.st_dev).\(status.st_ino).\(status.st_size).\(time.tv_sec).\(time.tv_nsec)"
    }
}
