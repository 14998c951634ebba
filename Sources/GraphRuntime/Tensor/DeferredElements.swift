import Synchronization

/// Elements that are computed when something needs them, and may be computed again: for constants that kernels read in a packed form, so
/// that only this form stays in memory.
final class DeferredElements: Sendable {
    private struct State {
        /// Computed, and not given back so far.
        var known: Tensor?
        /// Whether they stay, since something may hold an address of theirs.
        var isPinned = false
        /// Why they couldn't be computed.
        var failure: TensorError?
    }

    private let dtype: DType
    private let shape: Shape
    private let make: @Sendable () throws -> Tensor
    private let state: Mutex<State>

    /// - Parameters:
    ///   - known: what `make` gave before; nil for nothing so far.
    ///   - make: gives a tensor of this type and shape, the same each time.
    init(dtype: DType, shape: Shape, known: Tensor?, make: @escaping @Sendable () throws -> Tensor) {
        (self.dtype, self.shape, self.make) = (dtype, shape, make)
        state = Mutex(State(known: known))
    }

    /// Why they couldn't be computed; who reads them all the same, with an operator's way for the lack of memory, finds zeros.
    var failure: TensorError? { state.withLock(\.failure) }

    /// Whether they stay in memory.
    var isPinned: Bool { state.withLock(\.isPinned) }

    /// Calls `body` with the elements, which are given back afterwards.
    ///
    /// - Throws: ``TensorError`` where they can't be computed.
    func withElements<Result>(_ body: (Tensor) throws(TensorError) -> Result) throws(TensorError) -> Result {
        try state.withLock { state throws(TensorError) in
            let tensor = try known(&state)
            let result = try body(tensor)
            if !state.isPinned {
                state.known = nil
                tensor.storage.releasePages(tensor.byteOffset..<tensor.byteOffset + tensor.byteCount)
            }
            return result
        }
    }

    /// The elements, which stay in memory from now on.
    ///
    /// - Throws: ``TensorError`` where they can't be computed.
    func pinned() throws(TensorError) -> Tensor {
        try state.withLock { state throws(TensorError) in
            let tensor = try known(&state)
            (state.known, state.isPinned) = (tensor, true)
            return tensor
        }
    }

    private func known(_ state: inout State) throws(TensorError) -> Tensor {
        if let known = state.known { return known }
        do {
            let tensor = try make()
            guard tensor.dtype == dtype, tensor.shape == shape else {
                throw TensorError("a constant of \(dtype)\(shape) was computed as \(tensor.dtype)\(tensor.shape)")
            }
            state.failure = nil
            return tensor
        } catch {
            let failure = error as? TensorError ?? TensorError("a constant can't be computed: \(error)")
            state.failure = failure
            throw failure
        }
    }
}

extension Tensor {
    /// A constant whose elements are computed when something needs them.
    ///
    /// Where kernels read it in a packed form alone, that form is all that stays in memory; the elements are
    /// computed again if another form is needed. What reads the elements themselves has them stay. They are in memory once in any case.
    ///
    /// - Parameters:
    ///   - dtype: of the elements; not strings.
    ///   - shape: of the tensor.
    ///   - known: what `make` gave before; nil for nothing so far.
    ///   - make: gives a tensor of this type and shape, the same each time. May be called from any thread.
    /// - Throws: ``TensorError`` for a type or a shape that tensors can't have.
    public init(
        dtype: DType, shape: Shape, known: Tensor? = nil, deferred make: @escaping @Sendable () throws -> Tensor
    ) throws(TensorError) {
        guard let size = dtype.byteCount(of: shape.count) else {
            throw TensorError("a \(dtype) tensor of shape \(shape) has too many bytes")
        }
        let elements = DeferredElements(dtype: dtype, shape: shape, known: known, make: make)
        try self.init(dtype: dtype, shape: shape, storage: TensorStorage.deferred(elements, byteCount: size))
    }
}
