import GraphRuntime

/// y = the sums (or products) of x up to each element along an axis.
///
/// - Parameters:
///   - exclusive: without the element itself.
///   - reverse: from the end.
/// - Throws: ``TensorError`` for types that aren't numbers.
func cumulate(
    _ x: Tensor, axis: Int, product: Bool, exclusive: Bool, reverse: Bool, into y: MutableTensor, threads: ThreadPool
) throws {
    struct Visitor: NumericVisitor {
        let x: Tensor
        let split: AxisSplit
        let product: Bool
        let exclusive: Bool
        let reverse: Bool
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            nonisolated(unsafe) let input = unsafe try x.buffer(of: Element.self)
            nonisolated(unsafe) let output = unsafe try y.buffer(of: Element.self)
            let (count, inner) = (split.count, split.inner)
            guard count > 0 else { return }
            threads.forEachRange(split.outer * inner, grain: max(BroadcastPlan.grain / count, 1)) {
                [product, exclusive, reverse] range in
                for index in range {
                    let first = index / inner * count * inner + index % inner
                    var total: Element = product ? .one : .zero
                    for step in 0..<count {
                        let position = first + (reverse ? count - 1 - step : step) * inner
                        let before = total
                        total = unsafe product ? .product(total, input[position]) : .sum(total, input[position])
                        unsafe output[position] = exclusive ? before : total
                    }
                }
            }
        }
    }
    let split = AxisSplit(x.shape, axis: axis)
    try x.dtype.dispatch(
        Visitor(x: x, split: split, product: product, exclusive: exclusive, reverse: reverse, y: y, threads: threads))
}

/// CumSum-11 and -14, CumProd-26.
struct Cumulative: Operator {
    let isProduct: Bool
    let isExclusive: Bool
    let isReverse: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let axes = try context.input(1).integers()
        guard axes.count == 1 else { throw TensorError("expected one axis, found \(axes.count)") }
        try cumulate(
            x, axis: x.shape.axis(axes[0]), product: isProduct, exclusive: isExclusive, reverse: isReverse,
            into: context.output(0), threads: context.threads)
    }

    static let definitions = [("CumSum", 11, false), ("CumProd", 26, true)].map { type, version, isProduct in
        OperatorDefinition(type, since: version) { decoder in
            try decoder.requireInputs(2...2)
            return Cumulative(
                isProduct: isProduct, isExclusive: try decoder.bool("exclusive", default: false),
                isReverse: try decoder.bool("reverse", default: false))
        }
    }
}
