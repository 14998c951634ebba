import Foundation

/// Writing files so that a reader finds the old content or the whole new one, never a part, and so that this holds after a power cut.
///
/// A file that is replaced keeps its permissions, and its owner and group as far as the system lets this process set them. One that
/// nobody may write to (mode 0444), or that this process may not, is refused and not replaced. Behind symbolic links the file that
/// they name is written, whether it is there yet or not. Of a file with several hard links the given name gets the new content; the
/// other names keep the old one, which may be a backup. Devices, pipes and descriptors such as `/dev/stdout` are written to directly.
public enum AtomicFile {
    /// Why a file couldn't be written. `description` is one sentence for a person.
    public struct WriteError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The file that can't be written.
        public let path: String
        /// Why, as a part of a sentence.
        public let reason: String
        public var description: String { "\(path) can't be written: \(reason)." }

        init(path: String, reason: String) {
            self.path = path
            self.reason = reason
        }

        /// The reason is what `errno` says.
        init(path: String) {
            let reason =
                unsafe errno == EFBIG
                ? "it would be larger than the limit on the size of files (ulimit -f)" : String(cString: strerror(errno))
            self.init(path: path, reason: reason)
        }
    }

    /// Writes one file.
    /// - Throws: ``WriteError``.
    public static func write(_ bytes: [UInt8], to url: URL, durably: Bool = true) throws {
        try write([(bytes, url)], durably: durably)
    }

    /// Writes several files that belong together: all of them under temporary names in their folders, then all are renamed. Where
    /// one can't be written, nothing is left behind and no name has changed its content.
    ///
    /// - Parameters:
    ///   - files: the content of each, and its place.
    ///   - stale: files that are removed with it, such as those of an earlier, longer run.
    ///   - durably: whether the content is on the disk before the names change, and the names before this returns. Without it, as
    ///     for a preview that is soon replaced, a power cut may leave an empty file.
    /// - Throws: ``WriteError``.
    public static func write(
        _ files: [(bytes: [UInt8], url: URL)], removing stale: [URL] = [], durably: Bool = true
    ) throws {
        let targets = try files.map { (bytes: $0.bytes, given: $0.url.path, target: try OutputTarget($0.url)) }
        var replacements: [TemporaryFiles.Replacement] = []
        defer { TemporaryFiles.shared.remove(replacements.map(\.temporary)) }
        for (bytes, given, target) in targets {
            guard case .file(let path, let existing) = target else { continue }
            let (temporary, descriptor) = try TemporaryFiles.shared.create(beside: path, replacing: existing, given: given)
            replacements.append(.init(temporary: temporary, path: path, given: given, exists: existing != nil))
            try withClosing(descriptor, given) {
                try keepAttributes(of: existing, descriptor, given)
                try write(bytes, to: descriptor, given)
                if durably { try synchronize(descriptor, given) }
            }
        }
        // What is written directly can't be taken back, so it comes when all else is known to be possible.
        for (bytes, given, target) in targets {
            switch target {
            case .file: continue
            case .stream(let path):
                let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
                guard descriptor >= 0 else { throw WriteError(path: given) }
                try withClosing(descriptor, given) { try write(bytes, to: descriptor, given) }
            case .descriptor(let number): try write(bytes, to: number, given)
            }
        }
        try TemporaryFiles.shared.rename(replacements)
        for url in stale { unsafe unlink(url.path) }
        guard durably else { return }
        for folder in Set(
            replacements.map { OutputTarget.folder(of: $0.path) } + stale.map { OutputTarget.folder(of: $0.path) })
        {
            // A folder that may be written to but not read can't be opened; then the system decides when it is on the disk.
            let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            try withClosing(descriptor, folder) { try synchronize(descriptor, folder) }
        }
    }

    /// Checks that files could be written now, by making and removing an empty one in each folder: before work of minutes that would
    /// otherwise be lost.
    /// - Throws: ``WriteError``.
    public static func check(_ urls: [URL]) throws {
        var folders: Set<String> = []
        for url in urls {
            guard case .file(let path, _) = try OutputTarget(url) else { continue }
            guard folders.insert(OutputTarget.folder(of: path)).inserted else { continue }
            let (temporary, descriptor) = try TemporaryFiles.shared.create(beside: path, replacing: nil, given: url.path)
            close(descriptor)
            TemporaryFiles.shared.remove([temporary])
        }
    }

    /// As ``check(_:)-([URL])`` for one file.
    public static func check(_ url: URL) throws { try check([url]) }

    /// Checks that a folder could be made, or where it is there, written to.
    /// - Throws: ``WriteError``.
    public static func checkFolder(_ url: URL) throws {
        var status = stat()
        var place = url.path
        while unsafe stat(place, &status) != 0 {
            guard errno == ENOENT || errno == ENOTDIR, place != "/" else { throw WriteError(path: url.path) }
            // A link to nothing is in the way of a folder.
            if unsafe lstat(place, &status) == 0 { throw WriteError(path: url.path, reason: "\(place) is a link to nothing") }
            place = OutputTarget.folder(of: place)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw WriteError(path: url.path, reason: "\(place) is a file, expected a folder")
        }
        let (temporary, descriptor) = try TemporaryFiles.shared.create(
            beside: place + "/folder", replacing: nil, given: url.path)
        close(descriptor)
        TemporaryFiles.shared.remove([temporary])
    }

    /// Removes the temporary files of writes that are under way, and runs `body` while no other can begin and none is renamed: for a
    /// program that ends on a signal.
    public static func removePending(then body: () -> Void = {}) { TemporaryFiles.shared.removeAll(then: body) }

    private static func withClosing(_ descriptor: Int32, _ given: String, _ body: () throws -> Void) throws {
        do { try body() } catch {
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw WriteError(path: given) }
    }

    /// Gives a new file the owner, group and mode of the one that it replaces.
    private static func keepAttributes(of existing: stat?, _ descriptor: Int32, _ given: String) throws {
        guard let existing else { return }
        // Only root gives files away; the group can be one of those that the process is in.
        if fchown(descriptor, existing.st_uid, existing.st_gid) != 0 { _ = fchown(descriptor, uid_t.max, existing.st_gid) }
        // After the owner, whose change clears some bits.
        guard fchmod(descriptor, existing.st_mode & 0o7777) == 0 else { throw WriteError(path: given) }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ given: String) throws {
        unsafe try bytes.withUnsafeBytes { memory in
            var rest = unsafe memory[...]
            while unsafe !rest.isEmpty {
                let written = unsafe Foundation.write(
                    descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0 {
                    if errno == EINTR { continue }
                    throw WriteError(path: given)
                }
                unsafe rest = unsafe rest.dropFirst(written)
            }
        }
    }

    private static func synchronize(_ descriptor: Int32, _ given: String) throws {
        #if canImport(Darwin)
            // fsync leaves the content in the drive's cache there.
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return }
        #endif
        // Some file systems have nothing to synchronize.
        guard fsync(descriptor) == 0 || [EINVAL, ENOTSUP, ENOSYS].contains(errno) else { throw WriteError(path: given) }
    }
}
