/// The elements of a tensor, to read from any thread.
///
/// It keeps their memory, and every index is checked. Elements need not be aligned: those of weights in a mapped file often aren't.
@safe
public struct TensorView<Element: BitwiseCopyable & Sendable>: RandomAccessCollection, @unchecked Sendable {
    @usableFromInline
    let start: UnsafeRawPointer
    /// The number of elements.
    public let count: Int
    @usableFromInline
    let storage: TensorStorage

    /// - Parameter start: of `count` elements in `storage`.
    @unsafe @usableFromInline
    init(start: UnsafeRawPointer, count: Int, storage: TensorStorage) {
        unsafe self.start = start
        self.count = count
        self.storage = storage
    }

    /// 0, the index of the first element.
    @inlinable public var startIndex: Int { 0 }
    /// ``count``.
    @inlinable public var endIndex: Int { count }

    /// Traps where there is no such element.
    @inlinable @inline(__always)
    public subscript(index: Int) -> Element {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index out of range")
        return unsafe start.loadUnaligned(fromByteOffset: index &* MemoryLayout<Element>.stride, as: Element.self)
    }

    /// The elements of a range, counted from 0.
    ///
    /// Traps where the range leaves the view.
    @inlinable
    public func extracting(_ range: Range<Int>) -> TensorView {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        return unsafe TensorView(
            start: start + range.lowerBound &* MemoryLayout<Element>.stride, count: range.count, storage: storage)
    }
}

/// Patterns of bits, in which operators move elements without a look at what they are.
package protocol TensorBits: BitwiseCopyable, Sendable {}

extension UInt8: TensorBits {}
extension UInt16: TensorBits {}
extension UInt32: TensorBits {}
extension UInt64: TensorBits {}
extension SixteenBytes: TensorBits {}

/// An element of 128 bits, as complex numbers have, at the address of a number of 64: of a vector of two, the compiler would take it that
/// the address is a multiple of 16.
package struct SixteenBytes: Sendable {
    let low: UInt64
    let high: UInt64
}

extension TensorBits {
    /// - Throws: ``TensorError`` where elements of a type have another size.
    package static func check(_ dtype: DType) throws(TensorError) {
        guard dtype != .string, dtype.bitWidth == 8 * MemoryLayout<Self>.size else {
            throw TensorError("elements of type \(dtype) don't have \(8 * MemoryLayout<Self>.size) bits")
        }
    }
}
