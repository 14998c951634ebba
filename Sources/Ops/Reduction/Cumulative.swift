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
            if split.inner > 1 { return unsafe try cumulateRows(Element.self) }
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

        /// Neighbouring lines together, row by row: each is the one before it and a row of x.
        @unsafe
        private func cumulateRows<Element: NumericElement>(_: Element.Type) throws {
            let (count, inner, bands) = (split.count, split.inner, AxisBands(split))
            nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
            nonisolated(unsafe) let target = unsafe try y.pointer(to: Element.self)
            let (product, exclusive, reverse) = (product, exclusive, reverse)
            let identity: Element = product ? .one : .zero
            threads.forEachRange(bands.count, grain: bands.grain) { range in
                for band in range {
                    let (first, width) = bands[band]
                    for step in 0..<count {
                        let place = first + (reverse ? count - 1 - step : step) * inner
                        let row = unsafe target + place
                        if exclusive, step == 0 {
                            unsafe row.update(repeating: identity, count: width)
                            continue
                        }
                        let last = place + (reverse ? inner : -inner)
                        let numbers = unsafe source + (exclusive ? last : place)
                        if step == 0 {
                            for index in 0..<width {
                                unsafe row[index] = product ? .product(.one, numbers[index]) : .sum(.zero, numbers[index])
                            }
                            continue
                        }
                        let before = unsafe target + last
                        if product {
                            for index in 0..<width { unsafe row[index] = .product(before[index], numbers[index]) }
                        } else {
                            for index in 0..<width { unsafe row[index] = .sum(before[index], numbers[index]) }
                        }
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
