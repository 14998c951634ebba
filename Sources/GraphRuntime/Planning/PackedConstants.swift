import Synchronization

/// A constant in the order in which a kernel reads it, made by the first run that needs it.
public final class PackedConstant: Sendable {
    private struct State: Sendable {
        var source: Tensor
        var packed: Tensor?
    }

    private let pack: @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    private let state: Mutex<State>

    fileprivate init(_ source: Tensor, pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor) {
        state = Mutex(State(source: source))
        self.pack = pack
    }

    /// The packed form. Pages of the file that the constant was read from leave the process's memory once it is made: the constant
    /// isn't there twice.
    ///
    /// - Throws: ``TensorError`` where there is no memory for it.
    public func tensor(threads: ThreadPool) throws(TensorError) -> Tensor {
        try state.withLock { state throws(TensorError) in
            if let packed = state.packed { return packed }
            let source = state.source
            let made = try pack(source, threads)
            source.storage.releasePages(source.byteOffset..<source.byteOffset + source.byteCount)
            state.packed = made
            return made
        }
    }

    fileprivate func release() { state.withLock { $0.packed = nil } }

    fileprivate func replace(with source: Tensor) { state.withLock { $0 = State(source: source) } }
}

/// The packed constants of a session, which its plans share.
public final class PackedConstants: Sendable {
    private struct Key: Hashable {
        let storage: ObjectIdentifier
        let offset: Int
        let form: String
    }

    private let constants = Mutex<[Key: PackedConstant]>([:])
    /// Storages of ``Graph/replaceable`` constants.
    private let replaceable = Mutex<Set<ObjectIdentifier>>([])

    /// Without any form so far.
    public init() {}

    /// Lets a constant be packed although it is in memory.
    func admit(_ source: Tensor) { replaceable.withLock { _ = $0.insert(ObjectIdentifier(source.storage)) } }

    /// Gives the forms of an admitted constant another one as their source.
    func replace(_ old: Tensor, with new: Tensor) {
        let identity = ObjectIdentifier(old.storage)
        replaceable.withLock {
            $0.remove(identity)
            $0.insert(ObjectIdentifier(new.storage))
        }
        constants.withLock { constants in
            for (key, constant) in constants where key.storage == identity {
                constant.replace(with: new)
                constants[key] = nil
                constants[Key(storage: ObjectIdentifier(new.storage), offset: new.byteOffset, form: key.form)] = constant
            }
        }
    }

    /// A form of a constant; nil for one that isn't a part of a mapped file, which would be in memory twice, unless it is replaceable.
    ///
    /// - Parameters:
    ///   - source: the constant.
    ///   - form: names the form and its sizes: equal for forms that are the same bytes of the same constant.
    ///   - pack: makes it. It runs once, or again where its memory was given back meanwhile.
    public func constant(
        _ source: Tensor, form: String, pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    ) -> PackedConstant? {
        let identity = ObjectIdentifier(source.storage)
        guard source.byteCount > 0, source.storage.isMappedFile || replaceable.withLock({ $0.contains(identity) }) else {
            return nil
        }
        let key = Key(storage: identity, offset: source.byteOffset, form: form)
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
