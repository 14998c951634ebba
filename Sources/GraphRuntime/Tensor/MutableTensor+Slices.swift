/// Writing on all threads at once: each call of a body gets elements that no other call has.
extension MutableTensor {
    /// Cuts the elements into slices and calls `body` once for each, on all threads.
    ///
    /// - Parameters:
    ///   - type: the type of the elements.
    ///   - unit: elements that stay together, 1 or more; the elements are a whole number of units.
    ///   - grain: units of a slice, at least; where there are fewer, all are one slice.
    ///   - threads: the threads that call `body`.
    ///   - body: called with the numbers of the slice's units, and its elements, which are uninitialised until written.
    /// - Throws: ``TensorError`` where the elements aren't `Element`s or no whole number of units, where they are being written
    ///   already, or where ``finish()`` was called.
    public func forEachSlice<Element: TensorElement>(
        of type: Element.Type, unit: Int = 1, grain: Int, threads: ThreadPool,
        _ body: @Sendable (_ units: Range<Int>, _ slice: inout MutableSpan<Element>) -> Void
    ) throws(TensorError) {
        let first = unsafe try pointer(to: type)
        try unsafe forEachSlice(first, unit: unit, grain: grain, threads: threads, body)
    }

    /// As ``forEachSlice(of:unit:grain:threads:_:)``, of patterns of bits in the place of elements of any type.
    package func forEachSlice<Bits: TensorBits>(
        ofBits type: Bits.Type, unit: Int = 1, grain: Int, threads: ThreadPool,
        _ body: @Sendable (_ units: Range<Int>, _ slice: inout MutableSpan<Bits>) -> Void
    ) throws(TensorError) {
        try type.check(dtype)
        try unsafe forEachSlice(start.assumingMemoryBound(to: type), unit: unit, grain: grain, threads: threads, body)
    }

    private func forEachSlice<Element: BitwiseCopyable>(
        _ first: UnsafeMutablePointer<Element>, unit: Int, grain: Int, threads: ThreadPool,
        _ body: @Sendable (_ units: Range<Int>, _ slice: inout MutableSpan<Element>) -> Void
    ) throws(TensorError) {
        guard let units = try units(of: unit) else { return }
        try lend()
        defer { takeBack() }
        nonisolated(unsafe) let first = unsafe first
        threads.forEachRange(units, grain: grain) { range in
            var slice = unsafe UnsafeMutableBufferPointer(start: first + range.lowerBound * unit, count: range.count * unit)
                .mutableSpan
            body(range, &slice)
        }
    }

    /// Cuts the elements of two tensors, this one and another, into slices of equally many units.
    ///
    /// - Parameters:
    ///   - type: the type of this tensor's elements.
    ///   - unit: elements of this tensor that stay together.
    ///   - other: the other tensor.
    ///   - otherType: the type of its elements.
    ///   - otherUnit: elements of the other tensor that belong to a unit of this one.
    ///   - grain: units of a slice, at least.
    ///   - threads: the threads that call `body`.
    ///   - body: called with the numbers of the slice's units, and the elements of both tensors.
    /// - Throws: ``TensorError`` as ``forEachSlice(of:unit:grain:threads:_:)``, and where the tensors have different numbers of
    ///   units.
    public func forEachSlice<Element: TensorElement, Other: TensorElement>(
        of type: Element.Type, unit: Int = 1, and other: MutableTensor, of otherType: Other.Type, otherUnit: Int = 1,
        grain: Int,
        threads: ThreadPool,
        _ body: @Sendable (_ units: Range<Int>, inout MutableSpan<Element>, inout MutableSpan<Other>) -> Void
    ) throws(TensorError) {
        nonisolated(unsafe) let first = unsafe try pointer(to: type)
        nonisolated(unsafe) let second = unsafe try other.pointer(to: otherType)
        let (units, others) = (try units(of: unit), try other.units(of: otherUnit))
        guard units == others else { throw TensorError("shapes \(shape) and \(other.shape) don't have as many slices") }
        guard let units else { return }
        try lend()
        defer { takeBack() }
        try other.lend()
        defer { other.takeBack() }
        threads.forEachRange(units, grain: grain) { range in
            var slice = unsafe UnsafeMutableBufferPointer(start: first + range.lowerBound * unit, count: range.count * unit)
                .mutableSpan
            var otherSlice = unsafe UnsafeMutableBufferPointer(
                start: second + range.lowerBound * otherUnit, count: range.count * otherUnit
            ).mutableSpan
            body(range, &slice, &otherSlice)
        }
    }

    /// Calls `body` once for each line of elements along an axis, on all threads.
    ///
    /// - Parameters:
    ///   - type: the type of the elements.
    ///   - count: the axis's extent.
    ///   - inner: the number of lines side by side: the product of the extents after the axis.
    ///   - parts: elements that stay together, such as the two of complex numbers; `inner` counts them as one.
    ///   - grain: lines that a thread takes at once, at least.
    ///   - threads: the threads that call `body`.
    ///   - body: called with the line's number, which is outer · `inner` + column, and its elements, uninitialised until written.
    /// - Throws: ``TensorError`` as ``forEachSlice(of:unit:grain:threads:_:)``.
    public func forEachLine<Element: TensorElement>(
        of type: Element.Type, count: Int, inner: Int, parts: Int = 1, grain: Int, threads: ThreadPool,
        _ body: @Sendable (_ line: Int, _ elements: borrowing MutableLine<Element>) -> Void
    ) throws(TensorError) {
        nonisolated(unsafe) let first = unsafe try pointer(to: type)
        guard let outer = try units(of: count * inner * parts) else { return }
        try lend()
        defer { takeBack() }
        threads.forEachRange(outer * inner, grain: grain) { lines in
            for line in lines {
                body(
                    line,
                    unsafe MutableLine(
                        first: first + (line / inner * count * inner + line % inner) * parts, step: inner * parts, count: count,
                        parts: parts))
            }
        }
    }

    /// How many units of so many elements there are; nil where there are no elements.
    private func units(of unit: Int) throws(TensorError) -> Int? {
        guard count > 0 else { return nil }
        guard unit > 0, count % unit == 0 else {
            throw TensorError("shape \(shape) doesn't divide into parts of \(unit) elements")
        }
        return count / unit
    }
}

/// Elements of a tensor in the making at equal distances, lent to one call.
@safe
public struct MutableLine<Element: TensorElement>: ~Copyable {
    @usableFromInline
    let first: UnsafeMutablePointer<Element>
    /// Elements from one to the next.
    @usableFromInline
    let step: Int
    /// The number of elements, or of groups of ``parts`` elements.
    public let count: Int
    /// Elements that stay together.
    public let parts: Int

    @unsafe
    init(first: UnsafeMutablePointer<Element>, step: Int, count: Int, parts: Int) {
        unsafe self.first = unsafe first
        self.step = step
        self.count = count
        self.parts = parts
    }

    /// A further element of a group.
    ///
    /// Traps where there is no such element.
    @inlinable @inline(__always)
    public subscript(index: Int, part part: Int) -> Element {
        get {
            precondition(
                UInt(bitPattern: index) < UInt(bitPattern: count) && UInt(bitPattern: part) < UInt(bitPattern: parts),
                "index out of range")
            return unsafe first[index &* step &+ part]
        }
        nonmutating set {
            precondition(
                UInt(bitPattern: index) < UInt(bitPattern: count) && UInt(bitPattern: part) < UInt(bitPattern: parts),
                "index out of range")
            unsafe first[index &* step &+ part] = newValue
        }
    }

    /// Traps where there is no such element.
    @inlinable @inline(__always)
    public subscript(index: Int) -> Element {
        get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index out of range")
            return unsafe first[index &* step]
        }
        nonmutating set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index out of range")
            unsafe first[index &* step] = newValue
        }
    }
}
