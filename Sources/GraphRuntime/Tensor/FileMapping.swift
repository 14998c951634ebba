#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What tells one content of a file from another without reading it: any write changes the time of the last change, which programs can't
/// set (POSIX `stat`, `st_ctime`).
struct FileIdentity: Sendable, CustomStringConvertible {
    /// The file's number in its file system, its size in bytes, and the seconds and nanoseconds of its last modification and last change.
    let description: String

    init(_ information: stat) {
        #if canImport(Darwin)
            let (modified, changed) = (information.st_mtimespec, information.st_ctimespec)
        #else
            let (modified, changed) = (information.st_mtim, information.st_ctim)
        #endif
        description = [
            Int(information.st_ino), Int(information.st_size), modified.tv_sec, modified.tv_nsec, changed.tv_sec,
            changed.tv_nsec,
        ].map(String.init).joined(separator: " ")
    }
}

extension TensorStorage {
    /// The bytes of an open regular file that isn't empty, mapped read-only, and unmapped with the last tensor that looks into them.
    ///
    /// - Parameters:
    ///   - descriptor: of the file; may be closed afterwards.
    ///   - information: what `fstat` says of it.
    ///   - path: for messages.
    /// - Returns: nil where the system refuses, and `errno` says why.
    package static func mapping(_ descriptor: Int32, _ information: stat, path: String) -> TensorStorage? {
        let byteCount = Int(information.st_size)
        guard let base = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), unsafe base != MAP_FAILED else {
            return nil
        }
        let mapping = unsafe GuardedMapping(
            base: base, byteCount: byteCount, path: path, identity: FileIdentity(information)
        ) { unsafe munmap($0, $1) }
        return unsafe TensorStorage(base: base, byteCount: byteCount, owner: mapping, isMappedFile: true)
    }

    /// The bytes of a regular file, mapped read-only; nil for a file that is empty, missing or can't be read.
    package static func mapping(file path: String) -> TensorStorage? {
        // Without O_NONBLOCK, opening a named pipe would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG, information.st_size > 0
        else { return nil }
        return mapping(descriptor, information, path: path)
    }

    /// The content of the mapped file that these bytes are; nil for other storages.
    var fileIdentity: FileIdentity? { mappedFile?.identity }
}
