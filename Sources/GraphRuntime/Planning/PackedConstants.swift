import Synchronization

/// A constant in the order in which a kernel reads it, made by the first run that needs it.
public final class PackedConstant: Sendable {
    private let source: Tensor
    private let pack: @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    private let packed = Mutex<Tensor?>(nil)

    fileprivate init(_ source: Tensor, pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor) {
        self.source = source
        self.pack = pack
    }

    /// The packed form. Pages of the file that the constant was read from leave the process's memory once it is made: the constant
    /// isn't there twice.
    ///
    /// - Throws: ``TensorError`` where there is no memory for it.
    public func tensor(threads: ThreadPool) throws(TensorError) -> Tensor {
        try packed.withLock { packed throws(TensorError) in
            if let packed { return packed }
            let made = try pack(source, threads)
            source.storage.releasePages(source.byteOffset..<source.byteOffset + source.byteCount)
            packed = made
            return made
        }
    }

    fileprivate func release() { packed.withLock { $0 = nil } }
}

/// The packed constants of a session, which its plans share.
public final class PackedConstants: Sendable {
    private struct Key: Hashable {
        let storage: ObjectIdentifier
        let offset: Int
        let form: String
    }

    private let constants = Mutex<[Key: PackedConstant]>([:])

    /// Without any form so far.
    public init() {}

    /// A form of a constant; nil for one that isn't a part of a mapped file, which would be in memory twice.
    ///
    /// - Parameters:
    ///   - source: the constant.
    ///   - form: names the form and its sizes: equal for forms that are the same bytes of the same constant.
    ///   - pack: makes it. It runs once, or again where its memory was given back meanwhile.
    public func constant(
        _ source: Tensor, form: String, pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    ) -> PackedConstant? {
        guard source.storage.isMappedFile, source.byteCount > 0 else { return nil }
        let key = Key(storage: ObjectIdentifier(source.storage), offset: source.byteOffset, form: form)
        return constants.withLock { constants in
            if let known = constants[key] { return known }
            // It holds on to the storage, so that no other can take its identity.
            let constant = PackedConstant(source, pack: pack)
            constants[key] = constant
            return constant
        }
    }

    /// Gives back the memory of all forms; runs that need one make it again.
    func releaseMemory() { constants.withLock { for constant in $0.values { constant.release() } } }
}
