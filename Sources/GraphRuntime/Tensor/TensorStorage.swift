import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Bytes that tensors look into: memory of its own, a part of a mapped file, or a part of an arena.
///
/// One of the few homes of unsafe pointers: others read through ``Tensor/view(of:)`` or ``Tensor/withSpan(of:_:)``. It can be sent to
/// any thread since nobody writes to what a ``Tensor`` shows, see ``MutableTensor``.
@safe
public final class TensorStorage: @unchecked Sendable {
    /// The first byte, at a multiple of ``alignment`` where the memory is the storage's own.
    @usableFromInline
    package let base: UnsafeMutableRawPointer
    /// How many bytes there are.
    public let byteCount: Int
    private let owner: Owner

    /// Whether the bytes are a file's, mapped read-only: pages that the system can read again, so that a session may give them back meanwhile.
    public let isMappedFile: Bool

    /// Elements that are computed when they are needed; nil where they are at ``base``.
    let deferred: DeferredElements?

    private enum Owner {
        /// Memory of its own, of at least as many bytes.
        case own(blockBytes: Int)
        case other(AnyObject)
    }

    /// Bytes of all storages that own their memory, and the most that there were since the last ``resetPeak()``.
    private static let current = Atomic<Int>(0)
    private static let peak = Atomic<Int>(0)
    private static let allocated = Atomic<Int>(0)

    /// Bytes of all storages of the process that own their memory.
    public static var currentBytes: Int { current.load(ordering: .relaxed) }
    /// The most that ``currentBytes`` was since the last ``resetPeak()``.
    public static var peakBytes: Int { peak.load(ordering: .relaxed) }
    /// Bytes of all storages that owned their memory since the program began; what a node adds to it is what it allocated.
    public static var allocatedBytes: Int { allocated.load(ordering: .relaxed) }
    /// Makes ``peakBytes`` what ``currentBytes`` is now.
    public static func resetPeak() { peak.store(currentBytes, ordering: .relaxed) }

    /// 64 bytes: a cache line, and the widest vector.
    public static let alignment = 64

    /// Uninitialised memory of its own.
    ///
    /// - Throws: ``TensorError`` where the system gives no memory of that size.
    public init(byteCount: Int) throws(TensorError) {
        guard let block = unsafe FreedBlocks.take(byteCount) ?? Self.allocate(byteCount) else {
            throw TensorError("no memory for a tensor of \(byteCount) bytes", kind: .outOfMemory)
        }
        unsafe base = block.base
        self.byteCount = byteCount
        isMappedFile = false
        deferred = nil
        owner = unsafe .own(blockBytes: block.byteCount)
        let now = Self.current.wrappingAdd(byteCount, ordering: .relaxed).newValue
        _ = Self.peak.max(now, ordering: .relaxed)
        Self.allocated.wrappingAdd(byteCount, ordering: .relaxed)
    }

    private static func allocate(_ byteCount: Int) -> (base: UnsafeMutableRawPointer, byteCount: Int)? {
        var pointer: UnsafeMutableRawPointer? = nil
        let size = max(byteCount, 1)
        let isLarge = size >= 4 << 20
        let boundary = isLarge ? 2 << 20 : Self.alignment
        if unsafe posix_memalign(&pointer, boundary, size) != 0 {
            FreedBlocks.removeAll()
            guard unsafe posix_memalign(&pointer, boundary, size) == 0 else { return nil }
        }
        guard let pointer = unsafe pointer else { return nil }
        #if os(Linux)
            // Pages of 2 MB: fewer faults and TLB misses on the large activations; a refusal only costs the gain.
            if isLarge { unsafe madvise(pointer, size, MADV_HUGEPAGE) }
        #endif
        return unsafe (pointer, size)
    }

    /// A view of memory that `owner` keeps alive and that nobody writes to through this storage.
    ///
    /// - Parameter isMappedFile: whether it is a whole file, mapped read-only from its first byte on.
    package convenience init(base: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject, isMappedFile: Bool = false) {
        unsafe self.init(base, byteCount, owner, isMappedFile, nil)
    }

    private init(
        _ base: UnsafeMutableRawPointer, _ byteCount: Int, _ owner: AnyObject, _ isMappedFile: Bool,
        _ deferred: DeferredElements?
    ) {
        unsafe self.base = base
        self.byteCount = byteCount
        self.isMappedFile = isMappedFile
        self.deferred = deferred
        self.owner = .other(owner)
    }

    /// Elements that are computed when they are needed, with addresses of its own where nobody reads.
    ///
    /// - Throws: ``TensorError`` where the system has no such addresses left.
    static func deferred(_ elements: DeferredElements, byteCount: Int) throws(TensorError) -> TensorStorage {
        let addresses = try Placeholder(byteCount: max(byteCount, 1))
        return unsafe TensorStorage(addresses.base, byteCount, addresses, false, elements)
    }

    /// Read-only addresses without memory behind them, for tensors of which type and shape are known, but not the values: who reads
    /// them all the same finds zeros.
    ///
    /// - Throws: ``TensorError`` where the system has no such addresses left.
    package static func placeholder(byteCount: Int) throws(TensorError) -> TensorStorage {
        let memory = try Placeholder(byteCount: max(byteCount, 1))
        return unsafe TensorStorage(base: memory.base, byteCount: byteCount, owner: memory)
    }

    @safe
    private final class Placeholder: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        private let byteCount: Int

        init(byteCount: Int) throws(TensorError) {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
            guard let base = unsafe mmap(nil, byteCount, PROT_READ, flags, -1, 0), unsafe base != MAP_FAILED else {
                throw TensorError("no addresses for a tensor of \(byteCount) bytes", kind: .outOfMemory)
            }
            unsafe self.base = unsafe base
            self.byteCount = byteCount
        }

        deinit { unsafe munmap(base, byteCount) }
    }

    /// Whether the bytes only stand for values that weren't to be had.
    var isPlaceholder: Bool { if case .other(let object) = owner { object is Placeholder && deferred == nil } else { false } }

    /// The first byte, of elements that are computed when they are needed as soon as they are. Where they can't be computed it reads as
    /// zeros, and a session's run fails at its end (``DeferredElements/failure``).
    package var firstByte: UnsafeRawPointer {
        guard let deferred, let tensor = try? deferred.pinned() else { return unsafe UnsafeRawPointer(base) }
        return unsafe tensor.start
    }

    var mappedFile: GuardedMapping? { if case .other(let object) = owner { object as? GuardedMapping } else { nil } }

    /// The path of the mapped file, where pages of it were found missing; see ``MappedFileGuard``.
    var lostFile: String? {
        guard MappedFileGuard.hasLosses, let mappedFile, mappedFile.isLost else { return nil }
        return mappedFile.path
    }

    /// Checks, for a storage that is a mapped file, that all that was read of it so far was the file's.
    ///
    /// - Throws: ``GraphError`` that names the file.
    package func requireWhole() throws(GraphError) {
        if let path = lostFile { throw Self.loss(of: path) }
    }

    deinit {
        if case .own(let blockBytes) = owner {
            unsafe FreedBlocks.give(base, byteCount: blockBytes)
            Self.current.wrappingSubtract(byteCount, ordering: .relaxed)
        }
    }
}
