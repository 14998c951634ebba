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
            guard split.count > 0 else { return }
            if split.inner > 1 {
                return try cumulateRows(
                    Element.self, x, split, product: product, exclusive: exclusive, reverse: reverse, into: y, threads: threads)
            }
            let input = try x.view(of: Element.self)
            let count = split.count
            let grain = max(BroadcastPlan.grain / count, 1)
            try y.forEachSlice(of: Element.self, unit: count, grain: grain, threads: threads) {
                [product, exclusive, reverse] lines, output in
                for line in lines {
                    let (first, target) = (line * count, (line - lines.lowerBound) * count)
                    var total: Element = product ? .one : .zero
                    for step in 0..<count {
                        let place = reverse ? count - 1 - step : step
                        let before = total
                        total = product ? .product(total, input[first + place]) : .sum(total, input[first + place])
                        output[target + place] = exclusive ? before : total
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
