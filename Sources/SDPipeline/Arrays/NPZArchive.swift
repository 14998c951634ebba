import Foundation
import GraphRuntime
import ONNXLoader

/// The arrays of a numpy `.npz` file: a zip archive (APPNOTE.TXT 6.3.10) of `.npy` files, stored (`numpy.savez`) or deflated
/// (`numpy.savez_compressed`), each named after its array.
public struct NPZArchive: Sendable {
    private let bytes: [UInt8]
    private let entries: [String: ZipEntry]
    private let path: String?

    /// The arrays' names, sorted.
    public var names: [String] { entries.keys.sorted() }

    /// Reads a file's directory, not its arrays. The file may have as many bytes as `AvailableMemory.total`.
    ///
    /// - Throws: ``NPZError``.
    public init(contentsOf url: URL) throws {
        let content: [UInt8]
        do { content = try BoundedFile.read(url, limit: AvailableMemory.total, takesPipes: true) } catch {
            throw NPZError("the file can't be read: \(error.reason)", path: url.path)
        }
        try self.init(bytes: content, path: url.path)
    }

    /// Reads the directory of an archive in memory.
    ///
    /// - Throws: ``NPZError``.
    public init(bytes: [UInt8], path: String? = nil) throws {
        self.bytes = bytes
        self.path = path
        var entries: [String: ZipEntry] = [:]
        for entry in try Self.naming(path, { try ZipDirectory.entries(bytes) }) where !entry.name.hasSuffix("/") {
            let name = entry.name.hasSuffix(".npy") ? String(entry.name.dropLast(4)) : entry.name
            guard entries.updateValue(entry, forKey: name) == nil else {
                throw NPZError("it has the array \(Self.shown(name)) twice", path: path)
            }
        }
        self.entries = entries
    }

    /// One array.
    ///
    /// - Throws: ``NPZError`` where there is none of that name, or it is damaged, or larger than `AvailableMemory.total`.
    public func array(_ name: String) throws -> NPYArray {
        guard let entry = entries[name] else {
            throw NPZError("it has no array \(Self.shown(name)); it has \(known)", path: path)
        }
        do {
            return try NPYArray(bytes: entry.content(in: bytes, limit: AvailableMemory.total))
        } catch let error as NPYError {
            throw NPZError("its array \(Self.shown(name)) isn't one: \(error.reason)", path: path)
        } catch let error as NPZError {
            throw NPZError("its array \(Self.shown(name)) can't be read: \(error.reason)", path: path)
        }
    }

    /// The content of an archive of these arrays, stored.
    ///
    /// - Throws: ``NPYError`` of kind `outOfMemory`.
    public static func encoded(_ arrays: [(name: String, array: NPYArray)]) throws -> [UInt8] {
        try NPYArray.ask(bytes: arrays.reduce(0) { $0 + $1.array.data.count })
        var writer = ZipWriter()
        for (name, array) in arrays { writer.add(name + ".npy", array.bytes) }
        return writer.finished()
    }

    /// Arrays that an error lists.
    private static let listedNames = 20

    /// The arrays' names, for a person.
    private var known: String {
        let names = names
        guard !names.isEmpty else { return "none" }
        let listed = names.prefix(Self.listedNames).map(Self.shown).joined(separator: ", ")
        return names.count > Self.listedNames ? "\(listed) and \(names.count - Self.listedNames) more" : listed
    }

    static func shown(_ name: String) -> String { "\"\(name.shortened(to: String.longestName))\"" }

    private static func naming<Result>(_ path: String?, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as NPZError { throw NPZError(error.reason, path: path) }
    }
}

/// What is wrong with an `.npz` file. `description` is one sentence for a person.
public struct NPZError: Error, Sendable, CustomStringConvertible {
    /// What is wrong, as a part of a sentence.
    public let reason: String
    let path: String?

    init(_ reason: String, path: String? = nil) {
        self.reason = reason
        self.path = path
    }

    public var description: String { "\(path ?? "The archive") can't be used as .npz: \(reason)." }
}
