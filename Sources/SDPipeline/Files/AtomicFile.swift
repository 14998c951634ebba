import Foundation
import Synchronization

/// Writing files so that a reader finds the old content or the whole new one, never a part.
public enum AtomicFile {
    /// Why a file couldn't be written. `description` is one sentence for a person.
    public struct WriteError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The file that can't be written.
        public let path: String
        /// Why, as a part of a sentence.
        public let reason: String
        public var description: String { "\(path) can't be written: \(reason)." }
    }

    /// Temporary files that exist now.
    private static let pending = Mutex<Set<String>>([])

    /// Writes under a temporary name in the same folder, then renames. Nothing is left behind on failure, and a file
    /// that was there stays. What isn't a regular file, such as a device or a pipe, is written to directly; behind a
    /// symbolic link the file that it names is replaced.
    /// - Throws: ``WriteError``.
    public static func write(_ bytes: [UInt8], to url: URL) throws { try write([(bytes, url)]) }

    /// Writes several files that belong together: no name changes its content before all contents are on the disk.
    /// - Throws: ``WriteError``.
    public static func write(_ files: [(bytes: [UInt8], url: URL)]) throws {
        var written: [(temporary: String, path: String, url: URL)] = []
        defer {
            for file in written { forget(file.temporary) }
        }
        for (bytes, url) in files {
            let path = url.resolvingSymlinksInPath().path
            guard try replacesFile(path, url) else {
                try write(bytes, toOpened: open(path, O_WRONLY | O_CLOEXEC), path: url.path)
                continue
            }
            let temporary = temporaryName(for: path)
            _ = pending.withLock { $0.insert(temporary) }
            written.append((temporary, path, url))
            try write(bytes, toOpened: open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666), path: url.path)
        }
        for file in written {
            guard rename(file.temporary, file.path) == 0 else { throw failure(file.url.path) }
        }
    }

    /// Checks that a file could be written now, by making and removing an empty one beside it: before work of minutes that would
    /// otherwise be lost.
    /// - Throws: ``WriteError``.
    public static func check(_ url: URL) throws {
        let path = url.resolvingSymlinksInPath().path
        guard try replacesFile(path, url) else {
            guard access(path, W_OK) == 0 else { throw failure(url.path) }
            return
        }
        let temporary = temporaryName(for: path)
        _ = pending.withLock { $0.insert(temporary) }
        defer { forget(temporary) }
        try write([], toOpened: open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666), path: url.path)
    }

    /// Whether `path` is a regular file or none yet; false for devices and pipes.
    private static func replacesFile(_ path: String, _ url: URL) throws -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else {
            guard errno == ENOENT else { throw failure(url.path) }
            let folder = url.deletingLastPathComponent().path
            guard access(folder, F_OK) == 0 else {
                throw WriteError(path: url.path, reason: "there is no folder \(folder)")
            }
            return true
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return true
        case S_IFDIR: throw WriteError(path: url.path, reason: "it is a folder")
        default: return false
        }
    }

    private static func forget(_ temporary: String) {
        unlink(temporary)
        _ = pending.withLock { $0.remove(temporary) }
    }

    /// Removes the temporary files of writes that are under way: for a program that is about to end on a signal.
    public static func removePending() {
        pending.withLock { paths in
            for path in paths { unlink(path) }
        }
    }

    private static func temporaryName(for path: String) -> String {
        let url = URL(filePath: path)
        // A file name has at most 255 bytes.
        let stem = String(decoding: url.lastPathComponent.utf8.prefix(200), as: UTF8.self)
        let unique = String(UInt64.random(in: .min ... .max), radix: 36)
        return url.deletingLastPathComponent().appending(path: ".\(stem).\(unique).tmp").path
    }

    /// Writes all bytes and closes the file.
    private static func write(_ bytes: [UInt8], toOpened descriptor: Int32, path: String) throws {
        guard descriptor >= 0 else { throw failure(path) }
        var isOpen = true
        defer { if isOpen { _ = close(descriptor) } }
        try bytes.withUnsafeBytes { memory in
            var rest = memory[...]
            while !rest.isEmpty {
                let written = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0 {
                    if errno == EINTR { continue }
                    throw failure(path)
                }
                rest = rest.dropFirst(written)
            }
        }
        isOpen = false
        guard close(descriptor) == 0 else { throw failure(path) }
    }

    private static func failure(_ path: String) -> WriteError {
        WriteError(path: path, reason: String(cString: strerror(errno)))
    }
}
