import Foundation
import ONNXLoader
import SDPipeline

/// The record of what one shard has made: a file to which a line is added when the pictures of a job are on the disk.
///
/// One process at a time writes it: it holds a lock that the system takes back when the process ends, however that comes. A line is
/// written at once and reaches the disk before the next job; the part of a line that a killed process or a full disk left at the end is
/// cut off when the next process opens the file.
final class BatchManifest {
    private let url: URL
    private let descriptor: Int32

    /// Opens or makes the file, and waits until no other process writes it.
    ///
    /// - Parameter willWait: called where there is one.
    /// - Throws: `AtomicFile.WriteError`.
    init(_ url: URL, willWait: () -> Void) throws {
        self.url = url
        descriptor = try FileLock.open(url)
        do {
            if try !FileLock.take(descriptor, url, waits: false) {
                willWait()
                _ = try FileLock.take(descriptor, url, waits: true)
            }
            try cutOffTornLine()
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Adds a line, which is on the disk when this returns.
    ///
    /// - Throws: `AtomicFile.WriteError`.
    func append(_ entry: BatchEntry) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var rest = [UInt8](try encoder.encode(entry))[...] + [0x0A]
        while !rest.isEmpty {
            let written = unsafe rest.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw FileLock.failure(url)
            }
            rest = rest.dropFirst(written)
        }
        guard fsync(descriptor) == 0 || [EINVAL, ENOTSUP, ENOSYS].contains(errno) else { throw FileLock.failure(url) }
    }

    private func cutOffTornLine() throws {
        var length = lseek(descriptor, 0, SEEK_END)
        guard length >= 0 else { throw FileLock.failure(url) }
        let whole = length
        var byte: UInt8 = 0
        while length > 0 {
            guard unsafe pread(descriptor, &byte, 1, length - 1) == 1 else { throw FileLock.failure(url) }
            if byte == 0x0A { break }
            length -= 1
        }
        if length < whole, ftruncate(descriptor, length) != 0 { throw FileLock.failure(url) }
    }

    /// The lines of a file, while others may write it.
    ///
    /// - Returns: those that can be read, and how many others there are; what has no end yet is neither.
    /// - Throws: ``CommandFailure`` where the file can't be read.
    static func read(_ url: URL) throws -> (entries: [BatchEntry], damaged: Int) {
        let bytes: [UInt8]
        do { bytes = try BoundedFile.read(url, limit: largestSize) } catch {
            throw CommandFailure("\(url.path) can't be read: \(error.reason).")
        }
        guard let end = bytes.lastIndex(of: 0x0A) else { return ([], 0) }
        let lines = bytes[..<end].split(separator: 0x0A)
        let entries = lines.compactMap { try? JSONText.decode(BatchEntry.self, from: Array($0)) }
        return (entries, lines.count - entries.count)
    }

    private static let largestSize = 1 << 34
}

/// Locks that the system takes back when their process ends.
enum FileLock {
    /// Opens a file for adding to it, and makes it where there is none.
    static func open(_ url: URL) throws -> Int32 {
        let descriptor = unsafe Foundation.open(url.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(url) }
        return descriptor
    }

    /// - Returns: false where another process has it and `waits` is false.
    /// - Throws: ``CommandFailure`` where the file system has no locks.
    static func take(_ descriptor: Int32, _ url: URL, waits: Bool) throws -> Bool {
        while flock(descriptor, LOCK_EX | (waits ? 0 : LOCK_NB)) != 0 {
            if errno == EWOULDBLOCK { return false }
            guard errno == EINTR else {
                throw CommandFailure(
                    unsafe "\(url.path) can't be locked, so that two processes could make the same pictures: \(String(cString: strerror(errno)))."
                )
            }
        }
        return true
    }

    /// What `errno` says.
    static func failure(_ url: URL) -> CommandFailure {
        CommandFailure(unsafe "\(url.path) can't be written: \(String(cString: strerror(errno))).")
    }
}
