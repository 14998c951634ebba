import CMappedFileGuard

/// What happens when a file of weights becomes shorter, or can't be read any more, while a model uses it.
///
/// Weights stay in their files, which are mapped. Where a page of such a file is gone when it is read, the system raises SIGBUS, and that
/// ends the process. With the guard the run ends instead, with a ``GraphError`` that names the file.
public enum MappedFileGuard {
    /// The guard couldn't be installed.
    public struct InstallationError: Error, CustomStringConvertible, Sendable {
        /// The system's error number.
        public let number: Int32
        public var description: String { "the handler of SIGBUS can't be installed (error \(number))" }
    }

    /// Installs a handler of SIGBUS for the whole process, which is why it is left to the program. Faults that aren't of a model's files go
    /// to the handler that was there before; without one they end the process as ever. Calls after the first do nothing.
    ///
    /// - Throws: ``InstallationError``.
    public static func install() throws(InstallationError) {
        let number = mapped_file_guard_install()
        guard number == 0 else { throw InstallationError(number: number) }
    }

    /// Whether pages of any mapped file were ever found missing.
    static var hasLosses: Bool { mapped_file_guard_loss_count() > 0 }
}

/// A mapped file that the guard watches, the owner of a ``TensorStorage``; unmapped with it.
@safe
final class GuardedMapping: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    private let unmap: @Sendable (UnsafeMutableRawPointer, Int) -> Void
    private let handle: UnsafeMutableRawPointer?
    /// For messages.
    let path: String
    /// Of what was mapped.
    let identity: FileIdentity

    /// - Parameter unmap: gives the pages back.
    init(
        base: UnsafeMutableRawPointer, byteCount: Int, path: String, identity: FileIdentity,
        unmap: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
    ) {
        unsafe self.base = unsafe base
        self.byteCount = byteCount
        self.path = path
        self.identity = identity
        unsafe self.unmap = unsafe unmap
        unsafe handle = unsafe mapped_file_guard_add(base, byteCount)
    }

    /// Whether pages of it were found missing: what was read there are zeros.
    var isLost: Bool { unsafe mapped_file_guard_is_lost(handle) != 0 }

    deinit {
        unsafe mapped_file_guard_remove(handle)
        unsafe unmap(base, byteCount)
    }
}

/// The mapped files that constants of a graph lie in, each once.
struct MappedFiles: Sendable {
    private let storages: [TensorStorage]

    init(_ graph: Graph) {
        var seen: Set<ObjectIdentifier> = []
        var found: [TensorStorage] = []
        graph.forEachConstant { tensor, _ in
            if tensor.storage.isMappedFile, seen.insert(ObjectIdentifier(tensor.storage)).inserted {
                found.append(tensor.storage)
            }
        }
        storages = found
    }

    /// Checks that all that was read of the files so far was theirs.
    ///
    /// - Throws: ``GraphError`` that names the file.
    func requireWhole() throws(GraphError) {
        guard MappedFileGuard.hasLosses else { return }
        for storage in storages { if let path = storage.lostFile { throw TensorStorage.loss(of: path) } }
    }

    /// Runs `body`; where a file is lost meanwhile, that is the error, whatever else followed from it.
    func requiringWhole<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            let result = try body()
            try requireWhole()
            return result
        } catch {
            try requireWhole()
            throw error
        }
    }
}

extension TensorStorage {
    static func loss(of path: String) -> GraphError {
        GraphError(
            "the file \(path.shortened(to: String.longestName)) became shorter, or can't be read any more, while the model used it",
            kind: .file)
    }
}
