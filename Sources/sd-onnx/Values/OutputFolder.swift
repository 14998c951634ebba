import Foundation
import SDPipeline

/// What is written, and where.
typealias OutputFile = (bytes: [UInt8], url: URL)

/// A folder that is made when there is something to put into it.
struct OutputFolder {
    let url: URL

    init(_ path: String) { url = URL(fileURLWithPath: path) }

    var exists: Bool { NamedModel.isFolder(url.path) }

    /// Checks that it could be made, and files be written into it.
    ///
    /// - Throws: `AtomicFile.WriteError`.
    func check() throws { try AtomicFile.checkFolder(url) }

    /// - Throws: ``CommandFailure``.
    func make() throws {
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(unsafe "The folder \(url.path) can't be made: \(String(cString: strerror(errno))).")
        }
    }
}
