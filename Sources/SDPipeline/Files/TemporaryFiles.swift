import Foundation
import Synchronization

/// The temporary files of this process: known as long as they exist, so that a program that is ended can remove them.
package final class TemporaryFiles: Sendable {
    package static let shared = TemporaryFiles()

    /// A temporary file with its whole content, and the name that it gets.
    package struct Replacement {
        package let temporary: String
        let path: String
        /// The name as the caller knows it, for messages.
        let given: String
        /// Whether there is a file of the name already.
        let exists: Bool

        package init(temporary: String, path: String, given: String, exists: Bool) {
            (self.temporary, self.path, self.given, self.exists) = (temporary, path, given, exists)
        }
    }

    private let paths = Mutex<Set<String>>([])

    /// Makes an empty file beside `path`. One that replaces another is nobody else's to read before it has that one's mode.
    /// - Returns: its name, and an open descriptor.
    package func create(
        beside path: String, replacing existing: stat?, given: String
    ) throws(AtomicFile.WriteError) -> (temporary: String, descriptor: Int32) {
        let temporary = Self.name(for: path)
        // Made while it is registered: a removal of all comes before or after both.
        let (descriptor, code) = paths.withLock { paths -> (Int32, Int32) in
            let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, existing == nil ? 0o666 : 0o600)
            if descriptor >= 0 { paths.insert(temporary) }
            return (descriptor, errno)
        }
        guard descriptor >= 0 else {
            errno = code
            throw .init(path: given)
        }
        return (temporary, descriptor)
    }

    /// Removes files; those that were renamed are only forgotten.
    package func remove(_ temporaries: [String]) {
        paths.withLock { paths in
            for temporary in temporaries where paths.remove(temporary) != nil { unsafe unlink(temporary) }
        }
    }

    func removeAll(then body: () -> Void) {
        paths.withLock { paths in
            for path in paths { unsafe unlink(path) }
            paths = []
            body()
        }
    }

    /// Gives all files their names, or none.
    package func rename(_ replacements: [Replacement]) throws(AtomicFile.WriteError) {
        let failure = paths.withLock { paths -> AtomicFile.WriteError? in
            // The old content of each under a second name, to go back to. A file system without hard links has no way back.
            var backups: [String?] = []
            defer { for case let backup? in backups { unsafe unlink(backup) } }
            if replacements.count > 1 {
                backups = replacements.map { replacement in
                    guard replacement.exists else { return nil }
                    let backup = Self.name(for: replacement.path)
                    return unsafe link(replacement.path, backup) == 0 ? backup : nil
                }
            }
            for (index, replacement) in replacements.enumerated() {
                guard unsafe Foundation.rename(replacement.temporary, replacement.path) == 0 else {
                    let failure = AtomicFile.WriteError(path: replacement.given)
                    for (done, backup) in zip(replacements[..<index], backups) {
                        if let backup {
                            _ = unsafe Foundation.rename(backup, done.path)
                        } else if !done.exists {
                            unsafe unlink(done.path)
                        }
                    }
                    return failure
                }
                paths.remove(replacement.temporary)
            }
            return nil
        }
        if let failure { throw failure }
    }

    private static func name(for path: String) -> String {
        // A file name has at most 255 bytes.
        let last = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
        let stem = String(decoding: last.utf8.prefix(200), as: UTF8.self)
        let unique = String(UInt64.random(in: .min ... .max), radix: 36)
        return "\(OutputTarget.folder(of: path))/.\(stem).\(unique).tmp"
    }
}
