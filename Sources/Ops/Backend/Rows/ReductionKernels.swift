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
}

private enum SumOfSquares<Element: NumericElement>: ReductionKernel {
    static var start: Element { .zero }
    @inline(__always) static func combine(_ result: Element, _ x: Element) -> Element { .sum(result, .product(x, x)) }
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
            nonisolated(unsafe) let input = unsafe try x.buffer(of: Kernel.Element.self)
            nonisolated(unsafe) let output = unsafe try y.buffer(of: Kernel.Element.self)
            let (count, inner) = (split.count, split.inner)
            unsafe threads.forEachRange(output.count, grain: max(BroadcastPlan.grain / max(count, 1), 1)) { range in
                for index in range {
                    let first = index / inner * count * inner + index % inner
                    var result = Kernel.start
                    for step in 0..<count { result = unsafe Kernel.combine(result, input[first + step * inner]) }
                    unsafe output[index] = result
                }
            }
        }
    }
    try x.dtype.dispatch(Visitor(combination: combination, x: x, split: split, y: y, threads: threads))
}

/// As ``reduceAxis(_:_:_:into:threads:)``: rows by vector kernels, and inner axes by adding up whole rows.
private func reduceFloats(
    _ combination: Combination, _ x: Tensor, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool
) throws {
    nonisolated(unsafe) let input = unsafe try x.pointer(to: Float.self)
    nonisolated(unsafe) let output = unsafe try y.pointer(to: Float.self)
    let (count, inner) = (split.count, split.inner)
    threads.forEachRange(y.count, grain: max(BroadcastPlan.grain / max(count, 1), 1)) { range in
        if inner == 1 {
            for index in range { unsafe output[index] = unsafe reduceRow(combination, input + index * count, count) }
            return
        }
        var index = range.lowerBound
        while index < range.upperBound {
            let start = index % inner
            let length = min(inner - start, range.upperBound - index)
            let source = unsafe input + index / inner * count * inner + start
            unsafe addRows(combination, source, stride: inner, count: count, into: output + index, length)
            index += length
        }
    }
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
