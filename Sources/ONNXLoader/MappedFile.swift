import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files as memory: pages come in as they are read and may be dropped again, so a file may be larger than the memory.
///
/// No advice is given to the system here: weights are read again in every step of a sampler, so neither sequential nor random access
/// describes them, and reading ahead as a whole would make the inspection of a model as slow as its run. A session that saves
/// memory advises node by node. What happens where a file shrinks while it is mapped says ``/GraphRuntime/MappedFileGuard``.
public enum MappedFile {
    /// The bytes of a regular file, mapped read-only and unmapped with the last tensor that looks into them. Links are followed.
    ///
    /// - Throws: ``LoadError`` of kind `file`.
    public static func map(_ path: String) throws(LoadError) -> TensorStorage {
        // Without O_NONBLOCK, opening a named pipe would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("can't open the file", path) }
        defer { close(descriptor) }
        return try map(descriptor: descriptor, path: path)
    }

    /// The bytes of an open file, which the caller closes.
    ///
    /// - Parameter path: for messages.
    /// - Throws: ``LoadError`` of kind `file`.
    static func map(descriptor: Int32, path: String) throws(LoadError) -> TensorStorage {
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw failure("can't read the file's size", path) }
        guard information.st_mode & S_IFMT == S_IFREG else {
            throw LoadError(.file, "expected a regular file, found \(describe(information.st_mode))", file: path)
        }
        guard let byteCount = Int(exactly: information.st_size) else {
            throw LoadError(.file, "the file is too large", file: path)
        }
        do throws(TensorError) {
            guard byteCount > 0 else { return try TensorStorage(byteCount: 0) }
        } catch { throw LoadError(.file, error.message, file: path) }
        guard let storage = TensorStorage.mapping(descriptor, information, path: path) else {
            throw failure("can't map the file", path)
        }
        return storage
    }

    /// The path with all symbolic links followed, nil where the file doesn't exist.
    static func realPath(_ path: String) -> String? {
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(validatingCString: resolved)
    }

    static func failure(_ what: String, _ path: String) -> LoadError {
        LoadError(.file, unsafe "\(what): \(String(cString: strerror(errno)))", file: path)
    }

    private static func describe(_ mode: mode_t) -> String {
        switch mode & S_IFMT {
        case S_IFDIR: "a folder"
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }
}
