/// A row-major, contiguous array of elements of one type. A value: nobody writes to a tensor that others can read.
public struct Tensor: Sendable {
    /// The type of the elements.
    public let dtype: DType
    /// The extents, outermost first.
    public let shape: Shape
    /// Where the elements lie; string tensors have none and keep theirs in ``strings``.
    public let storage: TensorStorage
    /// Where the first element begins in ``storage``, in bytes.
    public let byteOffset: Int
    /// The elements of a tensor of strings, nil for every other type.
    public let strings: [String]?

    /// A view of `storage` from `byteOffset` on.
    ///
    /// - Throws: ``TensorError`` where the storage is too small.
    public init(dtype: DType, shape: Shape, storage: TensorStorage, byteOffset: Int = 0) throws(TensorError) {
        guard dtype != .string, let size = dtype.byteCount(of: shape.count), byteOffset >= 0,
            size <= storage.byteCount, byteOffset <= storage.byteCount - size
        else {
            throw TensorError(
                "a \(dtype) tensor of shape \(shape) doesn't fit \(storage.byteCount) bytes from \(byteOffset) on")
        }
        self.init(unchecked: dtype, shape, storage, byteOffset, nil)
    }

    private init(unchecked dtype: DType, _ shape: Shape, _ storage: TensorStorage, _ byteOffset: Int, _ strings: [String]?) {
        self.dtype = dtype
        self.shape = shape
        self.storage = storage
        self.byteOffset = byteOffset
        self.strings = strings
    }

    /// - Throws: ``TensorError`` where the number of values isn't the shape's.
    public init<Element: TensorElement>(_ values: [Element], shape: Shape) throws(TensorError) {
        guard values.count == shape.count else {
            throw TensorError("\(values.count) values don't fill shape \(shape)")
        }
        let storage = try TensorStorage(byteCount: values.count * MemoryLayout<Element>.stride)
        unsafe values.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { unsafe storage.base.copyMemory(from: source, byteCount: bytes.count) }
        }
        self.init(unchecked: Element.dtype, shape, storage, 0, nil)
    }

    /// The elements whose bytes these are, as they lie in memory; of booleans every byte but 0 is true.
    ///
    /// - Throws: ``TensorError`` where the number of bytes isn't that of the elements, and for strings.
    public init(dtype: DType, shape: Shape, bytes: [UInt8]) throws(TensorError) {
        guard dtype != .string, bytes.count == dtype.byteCount(of: shape.count) else {
            throw TensorError("\(bytes.count) bytes don't fill a \(dtype) tensor of shape \(shape)")
        }
        let bytes = dtype == .bool ? bytes.map { $0 == 0 ? 0 : 1 } : bytes
        let storage = try TensorStorage(byteCount: bytes.count)
        unsafe bytes.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { unsafe storage.base.copyMemory(from: source, byteCount: bytes.count) }
        }
        self.init(unchecked: dtype, shape, storage, 0, nil)
    }

    /// A tensor of one axis.
    public init<Element: TensorElement>(_ values: [Element]) throws(TensorError) {
        try self.init(values, shape: Shape([values.count]))
    }

    /// A tensor of rank 0.
    public init<Element: TensorElement>(scalar value: Element) throws(TensorError) {
        // Not by way of an array: loops make two in each turn.
        let storage = try TensorStorage(byteCount: MemoryLayout<Element>.stride)
        unsafe storage.base.initializeMemory(as: Element.self, repeating: value, count: 1)
        self.init(unchecked: Element.dtype, .scalar, storage, 0, nil)
    }

    /// A tensor of strings.
    public init(strings: [String], shape: Shape) throws(TensorError) {
        guard strings.count == shape.count else {
            throw TensorError("\(strings.count) strings don't fill shape \(shape)")
        }
        self.init(unchecked: .string, shape, try TensorStorage(byteCount: 0), 0, strings)
    }

    /// The number of elements.
    public var count: Int { shape.count }

    /// Bytes of the elements, without what strings take.
    public var byteCount: Int { dtype.byteCount(of: shape.count) ?? 0 }

    /// Whether the elements are there. False for a constant whose values lie in a file that is missing, in a model that was loaded
    /// although it is: such a tensor has a type and a shape, and a ``Session`` refuses it.
    public var hasValues: Bool { !storage.isPlaceholder }

    /// The same elements under another shape, without a copy.
    ///
    /// - Throws: ``TensorError`` where the shapes differ in their number of elements.
    public func reshaped(to shape: Shape) throws(TensorError) -> Tensor {
        guard shape.count == self.shape.count else {
            throw TensorError("\(self.shape) has \(self.shape.count) elements and can't become \(shape)")
        }
        return Tensor(unchecked: dtype, shape, storage, byteOffset, strings)
    }

    /// One element as a tensor of rank 0, without a copy; of types of a byte or more, and strings.
    ///
    /// - Throws: ``TensorError`` where there is no such element, or it is a part of a byte.
    package func element(_ index: Int) throws(TensorError) -> Tensor {
        guard index >= 0, index < count else { throw TensorError("element \(index) is outside of \(dtype)\(shape)") }
        if let strings { return try Tensor(strings: [strings[index]], shape: .scalar) }
        guard dtype.bitWidth >= 8 else { throw TensorError("elements of type \(dtype) share their bytes") }
        return Tensor(unchecked: dtype, .scalar, storage, byteOffset + index * dtype.bitWidth / 8, nil)
    }

    /// The elements, to read from any thread for as long as the view is there.
    ///
    /// - Throws: ``TensorError`` where the tensor's elements aren't `Element`s.
    @inlinable
    public func view<Element: TensorElement>(of type: Element.Type) throws(TensorError) -> TensorView<Element> {
        guard Element.dtype == dtype else { throw TensorError("expected a tensor of \(Element.dtype), found \(dtype)") }
        return unsafe TensorView(start: start, count: shape.count, storage: storage)
    }

    /// The bytes of the elements, as they lie in memory.
    public var bytes: TensorView<UInt8> { unsafe TensorView(start: start, count: byteCount, storage: storage) }

    /// The elements as patterns of bits of their size, for operators that move elements of any type.
    ///
    /// - Throws: ``TensorError`` where the elements have another size.
    package func view<Bits: TensorBits>(ofBits type: Bits.Type) throws(TensorError) -> TensorView<Bits> {
        try type.check(dtype)
        return unsafe TensorView(start: start, count: shape.count, storage: storage)
    }

    /// Calls `body` with the elements; misaligned ones, see ``isAligned``, are copied for the time of the call.
    ///
    /// - Throws: ``TensorError`` where the tensor's elements aren't `Element`s, and what `body` throws.
    @inlinable
    public func withSpan<Element: TensorElement, Result>(
        of type: Element.Type, _ body: (Span<Element>) throws -> Result
    ) throws -> Result {
        let source = try aligned()
        let elements = unsafe try source.buffer(of: type)
        return try withExtendedLifetime(source) { unsafe try body(elements.span) }
    }

    /// Whether the elements lie at multiples of their alignment. Weights in the mapped file of a model needn't: protobuf aligns
    /// nothing, and a copy would cost as much memory as the file.
    public var isAligned: Bool {
        let alignment = dtype == .complex64 ? 4 : min(max(dtype.bitWidth / 8, 1), 8)
        return unsafe UInt(bitPattern: start) % UInt(alignment) == 0
    }

    /// This tensor, or a copy of it where ``isAligned`` is false.
    public func aligned() throws(TensorError) -> Tensor {
        if isAligned { return self }
        let copy = try MutableTensor(dtype: dtype, shape: shape)
        try copy.copy(from: self)
        return try copy.finish()
    }

    /// The elements as a buffer that lives as long as the storage, for kernels; everything else reads through ``view(of:)``.
    ///
    /// Where ``isAligned`` is false, the buffer may be read by subscript and by C code that assumes no alignment, as the processors
    /// that this project is for do; a `Span` of it, or `load(as:)`, would trap.
    ///
    /// - Throws: ``TensorError`` where the tensor's elements aren't `Element`s.
    @usableFromInline
    package func buffer<Element: TensorElement>(of type: Element.Type) throws(TensorError) -> UnsafeBufferPointer<Element> {
        unsafe UnsafeBufferPointer(start: try pointer(to: type), count: shape.count)
    }

    /// The first element, as ``buffer(of:)`` has them; some address also where there are no elements.
    ///
    /// - Throws: ``TensorError`` where the tensor's elements aren't `Element`s.
    @usableFromInline
    package func pointer<Element: TensorElement>(to type: Element.Type) throws(TensorError) -> UnsafePointer<Element> {
        guard Element.dtype == dtype else { throw TensorError("expected a tensor of \(Element.dtype), found \(dtype)") }
        return unsafe start.assumingMemoryBound(to: Element.self)
    }

    /// Where the elements begin; some address also where there are none.
    @usableFromInline
    package var start: UnsafeRawPointer { unsafe storage.firstByte + byteOffset }

    /// The elements' bytes, as they lie in storage.
    package var rawBytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start, count: byteCount) }

    /// A copy of the elements.
    public func array<Element: TensorElement>(of type: Element.Type) throws(TensorError) -> [Element] {
        guard Element.dtype == dtype else { throw TensorError("expected a tensor of \(Element.dtype), found \(dtype)") }
        let bytes = unsafe rawBytes
        return unsafe Array(unsafeUninitializedCapacity: count) { elements, initialized in
            unsafe UnsafeMutableRawBufferPointer(elements).copyMemory(from: bytes)
            initialized = count
        }
    }
}
