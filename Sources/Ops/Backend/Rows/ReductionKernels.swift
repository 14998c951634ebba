import CKernels
import GraphRuntime

/// How elements are brought together along an axis.
enum Combination: Sendable {
    case sum, product, least, largest
    /// Sums of magnitudes and of squares.
    case sumOfMagnitudes, sumOfSquares

    /// How the results of a first pass are brought together by a second.
    var next: Combination {
        switch self {
        case .sumOfMagnitudes, .sumOfSquares: .sum
        default: self
        }
    }
}

private protocol ReductionKernel: SendableMetatype {
    associatedtype Element: NumericElement
    static var start: Element { get }
    static func combine(_ result: Element, _ x: Element) -> Element
    /// Brings two results together.
    static func merged(_ result: Element, _ other: Element) -> Element
}

extension ReductionKernel {
    @inline(__always) static func merged(_ result: Element, _ other: Element) -> Element { combine(result, other) }
}

private enum Sum<Element: NumericElement>: ReductionKernel {
    static var start: Element { .zero }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .sum(result, x) }
}

private enum Product<Element: NumericElement>: ReductionKernel {
    static var start: Element { .one }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .product(result, x) }
}

private enum Least<Element: NumericElement>: ReductionKernel {
    static var start: Element { .largest }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .lesser(result, x) }
}

private enum Largest<Element: NumericElement>: ReductionKernel {
    static var start: Element { .least }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .greater(result, x) }
}

private enum SumOfMagnitudes<Element: NumericElement>: ReductionKernel {
    static var start: Element { .zero }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element {
        .sum(result, x < .zero ? .difference(.zero, x) : x)
    }
    @inline(__always) static func merged(_ result: Element, _ other: Element) -> Element { .sum(result, other) }
}

private enum SumOfSquares<Element: NumericElement>: ReductionKernel {
    static var start: Element { .zero }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .sum(result, .product(x, x)) }
    @inline(__always) static func merged(_ result: Element, _ other: Element) -> Element { .sum(result, other) }
}

/// y[outer, inner] = the combination of x[outer, 0..<count, inner].
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func reduceAxis(_ combination: Combination, _ x: Tensor, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool) throws
{
    if x.dtype == .float32, combination != .product {
        return try reduceFloats(combination, x, split, into: y, threads: threads)
    }
    struct Visitor: NumericVisitor {
        let combination: Combination
        let x: Tensor
        let split: AxisSplit
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            switch combination {
            case .sum: try reduce(Sum<Element>.self)
            case .product: try reduce(Product<Element>.self)
            case .least: try reduce(Least<Element>.self)
            case .largest: try reduce(Largest<Element>.self)
            case .sumOfMagnitudes: try reduce(SumOfMagnitudes<Element>.self)
            case .sumOfSquares: try reduce(SumOfSquares<Element>.self)
            }
        }

        private func reduce<Kernel: ReductionKernel>(_: Kernel.Type) throws {
            unsafe try reduceLines(
                x, split, into: y, threads: threads,
                row: { row, count in unsafe combineRow(Kernel.self, row, count) },
                columns: { first, stride, count, results, length in
                    unsafe results.update(repeating: Kernel.start, count: length)
                    for step in 0..<count { unsafe combineRows(Kernel.self, first + step * stride, with: results, length) }
                })
        }
    }
    try x.dtype.dispatch(Visitor(combination: combination, x: x, split: split, y: y, threads: threads))
}

/// As ``reduceAxis(_:_:_:into:threads:)``, by vector kernels.
private func reduceFloats(
    _ combination: Combination, _ x: Tensor, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool
) throws {
    unsafe try reduceLines(
        x, split, into: y, threads: threads,
        row: { row, count in unsafe reduceRow(combination, row, count) },
        columns: { first, stride, count, results, length in
            unsafe addRows(combination, first, stride: stride, count: count, into: results, length)
        })
}

/// Reduces lines whose elements lie side by side one by one, and others by combining whole rows.
///
/// - Parameters:
///   - row: the combination of so many elements.
///   - columns: writes the combinations of neighbouring lines, whose elements are a stride apart.
private func reduceLines<Element: TensorElement>(
    _ x: Tensor, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool,
    row: @Sendable (_ row: UnsafePointer<Element>, _ count: Int) -> Element,
    columns:
        @Sendable (
            _ first: UnsafePointer<Element>, _ stride: Int, _ count: Int, _ results: UnsafeMutablePointer<Element>,
            _ length: Int
        ) -> Void
) throws {
    nonisolated(unsafe) let input = unsafe try x.pointer(to: Element.self)
    nonisolated(unsafe) let output = unsafe try y.pointer(to: Element.self)
    let (count, inner) = (split.count, split.inner)
    threads.forEachRange(y.count, grain: max(BroadcastPlan.grain / max(count, 1), 1)) { range in
        if inner == 1 {
            for index in range { unsafe output[index] = unsafe row(input + index * count, count) }
            return
        }
        var index = range.lowerBound
        while index < range.upperBound {
            let start = index % inner
            let length = min(inner - start, range.upperBound - index)
            unsafe columns(input + index / inner * count * inner + start, inner, count, output + index, length)
            index += length
        }
    }
}

/// Combines a row of elements with the results so far, one to one.
@inline(__always)
private func combineRows<Kernel: ReductionKernel>(
    _: Kernel.Type, _ row: UnsafePointer<Kernel.Element>, with results: UnsafeMutablePointer<Kernel.Element>, _ count: Int
) {
    for index in 0..<count { unsafe results[index] = unsafe Kernel.combine(results[index], row[index]) }
}

/// The combination of a row: of long ones in 16 interleaved results, none of which has to wait for the one before.
@inline(__always)
private func combineRow<Kernel: ReductionKernel>(
    _: Kernel.Type, _ row: UnsafePointer<Kernel.Element>, _ count: Int
) -> Kernel.Element {
    let lanes = 16
    var result = Kernel.start
    var done = 0
    if count >= 4 * lanes {
        done = count / lanes * lanes
        unsafe withUnsafeTemporaryAllocation(of: Kernel.Element.self, capacity: lanes) { memory in
            guard let results = memory.baseAddress else { return }
            unsafe results.initialize(repeating: Kernel.start, count: lanes)
            for first in stride(from: 0, to: done, by: lanes) {
                unsafe combineRows(Kernel.self, row + first, with: results, lanes)
            }
            for lane in 0..<lanes { result = unsafe Kernel.merged(result, results[lane]) }
        }
    }
    for index in done..<count { result = unsafe Kernel.combine(result, row[index]) }
    return result
}

private func reduceRow(_ combination: Combination, _ x: UnsafePointer<Float>, _ count: Int) -> Float {
    switch combination {
    case .sum, .product: unsafe ck_row_sum(x, count)
    case .least: unsafe ck_row_min(x, count)
    case .largest: unsafe ck_row_max(x, count)
    case .sumOfMagnitudes: unsafe ck_row_sum_abs(x, count)
    case .sumOfSquares: unsafe ck_row_sum_square(x, count)
    }
}

private func addRows(
    _ combination: Combination, _ x: UnsafePointer<Float>, stride: Int, count: Int, into y: UnsafeMutablePointer<Float>,
    _ length: Int
) {
    let start: Float =
        switch combination {
        case .least: .infinity
        case .largest: -.infinity
        default: 0
        }
    unsafe y.update(repeating: start, count: length)
    for step in 0..<count {
        let row = unsafe x + step * stride
        switch combination {
        case .sum, .product: unsafe ck_accumulate(row, y, length)
        case .least: unsafe ck_min(row, 1, y, 1, y, length)
        case .largest: unsafe ck_max(row, 1, y, 1, y, length)
        case .sumOfMagnitudes: unsafe ck_accumulate_abs(row, y, length)
        case .sumOfSquares: unsafe ck_accumulate_square(row, y, length)
        }
    }
}
