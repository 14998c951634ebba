/// A tensor in the making: the one place of its elements that may be written to, handed out by a run's context.
///
/// It belongs to the thread that fills it, and is filled in turns: while ``withMutableSpan(of:_:)`` or a slice lends the elements, no
/// other call does, and once ``finish()`` has handed out the tensor, none does any more. So nobody who reads a ``Tensor`` can see it
/// change.
public final class MutableTensor {
    /// The tensor as its readers will see it.
    package let tensor: Tensor
    private var state = State.open

    private enum State { case open, lent, finished }

    /// Uninitialised elements in memory of their own.
    public init(dtype: DType, shape: Shape) throws(TensorError) {
        guard dtype != .string, let size = dtype.byteCount(of: shape.count) else {
            throw TensorError("no storage for a \(dtype) tensor of shape \(shape)")
        }
        tensor = try Tensor(dtype: dtype, shape: shape, storage: TensorStorage(byteCount: size))
    }

    /// Elements in storage that the caller alone writes to.
    init(_ tensor: Tensor) { self.tensor = tensor }

    /// The type of the elements.
    public var dtype: DType { tensor.dtype }
    /// The extents.
    public var shape: Shape { tensor.shape }
    /// The number of elements.
    public var count: Int { tensor.count }

    /// The tensor, which from now on can't be written to.
    ///
    /// - Throws: ``TensorError`` while its elements are lent for writing.
    public func finish() throws(TensorError) -> Tensor {
        try close()
        return tensor
    }

    /// As ``finish()``, without handing out the tensor.
    func close() throws(TensorError) {
        guard state != .lent else { throw TensorError("a tensor can't be read while it is being written") }
        state = .finished
    }

    /// Lets a tensor be written anew that nobody reads any more: a place in a run's memory, in the next run.
    func reopen() { state = .open }

    /// Calls `body` with the elements, which are uninitialised until written.
    ///
    /// - Throws: ``TensorError`` where the elements aren't `Element`s, where they are being written already or ``finish()`` was
    ///   called,
    ///   and what `body` throws.
    public func withMutableSpan<Element: TensorElement, Result>(
        of type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
    ) throws -> Result {
        try lend()
        defer { takeBack() }
        let elements = unsafe try buffer(of: type)
        var span = unsafe elements.mutableSpan
        return try body(&span)
    }

    /// Calls `body` with the bytes of the elements, which are uninitialised until written.
    ///
    /// - Throws: ``TensorError`` where they are being written already or ``finish()`` was called, and what `body` throws.
    public func withMutableBytes<Result>(_ body: (inout MutableSpan<UInt8>) throws -> Result) throws -> Result {
        try lend()
        defer { takeBack() }
        let bytes = unsafe UnsafeMutableBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: tensor.byteCount)
        var span = unsafe bytes.mutableSpan
        return try body(&span)
    }

    /// Copies all elements of a tensor of the same type with as many of them.
    public func copy(from source: Tensor) throws(TensorError) {
        guard source.dtype == dtype, source.count == count else {
            throw TensorError("can't copy \(source.dtype)\(source.shape) into \(dtype)\(shape)")
        }
        try lend()
        defer { takeBack() }
        unsafe start.copyMemory(from: source.start, byteCount: source.byteCount)
    }

    /// Copies the bits of all elements of a tensor of any type with as many bytes.
    public func copyBits(from source: Tensor) throws(TensorError) {
        guard source.dtype != .string, source.byteCount == tensor.byteCount else {
            throw TensorError("can't take the bits of \(source.dtype)\(source.shape) for \(dtype)\(shape)")
        }
        try lend()
        defer { takeBack() }
        unsafe start.copyMemory(from: source.start, byteCount: source.byteCount)
    }

    /// Sets all elements.
    ///
    /// - Throws: ``TensorError`` where they aren't `Element`s, where they are being written already or ``finish()`` was called.
    public func fill<Element: TensorElement>(with value: Element) throws(TensorError) {
        try lend()
        defer { takeBack() }
        let elements = unsafe try pointer(to: Element.self)
        // By size, since for a type that only another module knows each element would take a call.
        switch MemoryLayout<Element>.size {
        case 1: unsafe Self.repeatBits(unsafeBitCast(value, to: UInt8.self), at: elements, count)
        case 2: unsafe Self.repeatBits(unsafeBitCast(value, to: UInt16.self), at: elements, count)
        case 4: unsafe Self.repeatBits(unsafeBitCast(value, to: UInt32.self), at: elements, count)
        case 8: unsafe Self.repeatBits(unsafeBitCast(value, to: UInt64.self), at: elements, count)
        default: unsafe elements.update(repeating: value, count: count)
        }
    }

    private static func repeatBits<Bits: TensorBits>(_ bits: Bits, at start: UnsafeMutableRawPointer, _ count: Int) {
        unsafe start.assumingMemoryBound(to: Bits.self).update(repeating: bits, count: count)
    }

    /// Keeps others from the elements until ``takeBack()``.
    func lend() throws(TensorError) {
        switch state {
        case .open: state = .lent
        case .lent: throw TensorError("a tensor can't be written in two places at once")
        case .finished: throw TensorError("a tensor that is read can't be written")
        }
    }

    func takeBack() { state = .open }

    /// The elements as a buffer that lives as long as the storage, for kernels; everything else writes through
    /// ``withMutableSpan(of:_:)`` or in slices.
    package func buffer<Element: TensorElement>(of type: Element.Type) throws(TensorError) -> UnsafeMutableBufferPointer<
        Element
    > {
        unsafe UnsafeMutableBufferPointer(start: try pointer(to: type), count: count)
    }

    /// The first element, as ``buffer(of:)`` has them; some address also where there are no elements.
    ///
    /// - Throws: ``TensorError`` where the tensor's elements aren't `Element`s.
    package func pointer<Element: TensorElement>(to type: Element.Type) throws(TensorError) -> UnsafeMutablePointer<Element> {
        unsafe UnsafeMutablePointer(mutating: try tensor.pointer(to: type))
    }

    /// Where the elements begin; some address also where there are none.
    package var start: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(mutating: tensor.start) }

    /// The bytes of the elements, uninitialised until written.
    package var rawBytes: UnsafeMutableRawBufferPointer { unsafe UnsafeMutableRawBufferPointer(mutating: tensor.rawBytes) }
}
