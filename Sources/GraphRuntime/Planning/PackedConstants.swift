import Synchronization

/// A constant in the order in which a kernel reads it, made by the first run that needs it.
public final class PackedConstant: Sendable {
    private struct State: Sendable {
        var source: Tensor
        var packed: Tensor?
        /// How many ``PackedConstants`` keep the form in memory.
        var keepers = 0
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
            // Of a file that was cut off meanwhile zeros would be read from now on.
            if let packed = state.packed, packed.storage.lostFile == nil { return packed }
            let source = state.source
            let made: Tensor
            if let deferred = source.storage.deferred {
                made = try deferred.withElements { elements throws(TensorError) in
                    try pack(elements.reshaped(to: source.shape), threads)
                }
            } else {
                made = try pack(source, threads)
                source.storage.releasePages(source.byteOffset..<source.byteOffset + source.byteCount)
            }
            // A run of a plan whose forms went meanwhile takes it along.
            if state.keepers > 0 { state.packed = made }
            return made
        }
    }

    /// Checks that what runs read of a form in a file was the file's.
    fileprivate func requireWhole() throws(GraphError) {
        if let packed = state.withLock(\.packed) { try packed.storage.requireWhole() }
    }

    fileprivate func keep() { state.withLock { $0.keepers += 1 } }

    fileprivate func letGo() {
        state.withLock { state in
            state.keepers -= 1
            if state.keepers == 0 { state.packed = nil }
        }
    }

    fileprivate func replace(with source: Tensor) {
        state.withLock { state in
            state.source = source
            state.packed = nil
        }
    }
}

/// Where the elements of a tensor lie: equal for those that share them, as long as their storages are there.
struct TensorPlace: Hashable {
    let storage: ObjectIdentifier
    private let offset: Int

    init(_ tensor: Tensor) { (storage, offset) = (ObjectIdentifier(tensor.storage), tensor.byteOffset) }
}

/// The packed constants that plans have in common: those of one session, or of several for graphs that share constants.
package final class PackedConstantStore: Sendable {
    private struct Key: Hashable {
        /// The constant, and then the others that its form is made of.
        var parts: [TensorPlace]
        let form: String
    }

    private let constants = Mutex<[Key: PackedConstant]>([:])
    /// Keeps forms for other processes; nil for none.
    private let cache: PanelCache?
    /// Storages of ``Graph/replaceable`` constants.
    private let replaceable = Mutex<Set<ObjectIdentifier>>([])

    /// - Parameter cache: keeps forms for other processes; nil for none.
    package init(cache: PanelCache? = nil) { self.cache = cache }

    /// Lets a constant be packed although it is in memory.
    package func admit(_ source: Tensor) { replaceable.withLock { _ = $0.insert(ObjectIdentifier(source.storage)) } }

    /// Gives the forms of an admitted constant another one as their source.
    func replace(_ old: Tensor, with new: Tensor) {
        let identity = ObjectIdentifier(old.storage)
        replaceable.withLock {
            $0.remove(identity)
            $0.insert(ObjectIdentifier(new.storage))
        }
        constants.withLock { constants in
            for (key, constant) in constants where key.parts[0].storage == identity {
                constant.replace(with: new)
                constants[key] = nil
                constants[Key(parts: [TensorPlace(new)] + key.parts.dropFirst(), form: key.form)] = constant
            }
        }
    }

    fileprivate func constant(
        _ source: Tensor, form: String, others: [Tensor],
        pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    ) -> PackedConstant? {
        let identity = ObjectIdentifier(source.storage)
        guard source.byteCount > 0, source.storage.isMappedFile || replaceable.withLock({ $0.contains(identity) }) else {
            return nil
        }
        let key = Key(parts: [TensorPlace(source)] + others.map(TensorPlace.init), form: form)
        return constants.withLock { constants in
            if let known = constants[key] { return known }
            // It holds on to the storages, so that no others can take their identities.
            let constant = PackedConstant(source, pack: caching(pack, form: form, others: others))
            constants[key] = constant
            return constant
        }
    }

    private func caching(
        _ pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor, form: String, others: [Tensor]
    ) -> @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor {
        { [cache] source, threads throws(TensorError) in
            guard let cache else {
                return try withExtendedLifetime(others) { () throws(TensorError) in try pack(source, threads) }
            }
            return try cache.tensor(source, form: form, others: others, threads: threads, pack: pack)
        }
    }
}

/// The packed constants of a plan, kept in memory until it lets go of them: a form that several plans keep is made once, and is in memory
/// until the last of them lets go.
public final class PackedConstants: Sendable {
    private struct State {
        var used: [ObjectIdentifier: PackedConstant] = [:]
        /// The storages of all constants that were asked for.
        var sources: Set<ObjectIdentifier> = []
        var isKept = true
    }

    private let store: PackedConstantStore
    private let state = Mutex(State())

    /// Without any form so far, and for a plan alone.
    public convenience init() { self.init(PackedConstantStore()) }

    package init(_ store: PackedConstantStore) { self.store = store }

    deinit { letGo() }

    /// A form of a constant; nil for one that isn't a part of a mapped file, which would be in memory twice, unless it is replaceable.
    ///
    /// - Parameters:
    ///   - source: the constant.
    ///   - form: names the form and its sizes: equal for forms that are the same bytes of the same constants, with any instruction set.
    ///   - others: further constants that it is made of, such as scales.
    ///   - pack: makes it. It runs once, or again where its memory was given back meanwhile.
    public func constant(
        _ source: Tensor, form: String, others: [Tensor] = [],
        pack: @escaping @Sendable (Tensor, ThreadPool) throws(TensorError) -> Tensor
    ) -> PackedConstant? {
        guard let constant = store.constant(source, form: form, others: others, pack: pack) else { return nil }
        state.withLock { state in
            state.sources.insert(ObjectIdentifier(source.storage))
            guard state.used.updateValue(constant, forKey: ObjectIdentifier(constant)) == nil, state.isKept else { return }
            constant.keep()
        }
        return constant
    }

    /// Whether a form of the constant is needed.
    func holdsForm(of source: Tensor) -> Bool { state.withLock { $0.sources.contains(ObjectIdentifier(source.storage)) } }

    /// Checks that what runs read of forms in files was the files'.
    ///
    /// - Throws: ``GraphError`` that names a file that was cut off.
    func requireWhole() throws(GraphError) {
        guard MappedFileGuard.hasLosses else { return }
        for constant in state.withLock({ Array($0.used.values) }) { try constant.requireWhole() }
    }

    /// Has the forms stay in memory once they are made.
    func keep() {
        state.withLock { state in
            guard !state.isKept else { return }
            state.isKept = true
            for constant in state.used.values { constant.keep() }
        }
    }

    /// Gives back the memory of all forms that no other plan keeps; runs that need one make it again.
    func letGo() {
        state.withLock { state in
            guard state.isKept else { return }
            state.isKept = false
            for constant in state.used.values { constant.letGo() }
        }
    }
}
