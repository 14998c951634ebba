import Foundation
import GraphRuntime

/// ONNX's reductions along axes.
enum ReduceFunction: String, Sendable, CaseIterable {
    case sum = "ReduceSum"
    case mean = "ReduceMean"
    case largest = "ReduceMax"
    case least = "ReduceMin"
    case product = "ReduceProd"
    case l1 = "ReduceL1"
    case l2 = "ReduceL2"
    case logSum = "ReduceLogSum"
    case logSumExp = "ReduceLogSumExp"
    case sumSquare = "ReduceSumSquare"

    fileprivate var combination: Combination {
        switch self {
        case .sum, .mean, .logSum, .logSumExp: .sum
        case .largest: .largest
        case .least: .least
        case .product: .product
        case .l1: .sumOfMagnitudes
        case .l2, .sumSquare: .sumOfSquares
        }
    }

    /// Whether of one element alone it is that element.
    fileprivate var keepsSingleElements: Bool {
        switch self {
        case .sum, .mean, .largest, .least, .product, .logSumExp: true
        case .l1, .l2, .logSum, .sumSquare: false
        }
    }

    /// The first version that takes its axes as an input.
    fileprivate var axesInputVersion: Int { self == .sum ? 13 : 18 }
}

/// The combination of x along axes, with those axes kept as extents of 1.
///
/// - Parameter axes: in 0..<rank, ascending; not empty.
/// - Throws: ``TensorError`` for types that aren't numbers.
func combine(_ combination: Combination, _ x: Tensor, along axes: [Int], threads: ThreadPool) throws -> Tensor {
    var dimensions = x.shape.dimensions
    for axis in axes { dimensions[axis] = 1 }
    let result = try MutableTensor(dtype: x.dtype, shape: Shape(dimensions))
    try combine(combination, x, along: axes, into: result, threads: threads)
    return result.tensor
}

/// y = the combination of x along axes, with or without the axes as extents of 1.
///
/// - Parameter axes: in 0..<rank, ascending; not empty.
/// - Throws: ``TensorError`` for types that aren't numbers.
private func combine(
    _ combination: Combination, _ x: Tensor, along axes: [Int], into y: MutableTensor, threads: ThreadPool
) throws {
    var source = x
    var combination = combination
    var rest = axes[...]
    // Neighbouring axes are one; the innermost go first, while rows are contiguous.
    while let last = rest.popLast() {
        var first = last
        while rest.last == first - 1 { first = rest.removeLast() }
        let split = AxisSplit(source.shape, axes: first..<last + 1)
        if rest.isEmpty { return try reduceAxis(combination, source, split, into: y, threads: threads) }
        var dimensions = source.shape.dimensions
        for axis in first...last { dimensions[axis] = 1 }
        let reduced = try MutableTensor(dtype: source.dtype, shape: Shape(dimensions))
        try reduceAxis(combination, source, split, into: reduced, threads: threads)
        source = reduced.tensor
        combination = combination.next
    }
}

/// y = function(x) along axes.
///
/// - Parameters:
///   - axes: in 0..<rank, ascending; not empty.
///   - y: with or without the axes as extents of 1.
/// - Throws: ``TensorError`` for types that aren't numbers; the extremes take bool too.
func reduce(_ function: ReduceFunction, _ x: Tensor, along axes: [Int], into y: MutableTensor, threads: ThreadPool) throws {
    if x.dtype == .bool {
        guard function == .largest || function == .least else { throw TensorError("expected numbers, found bool") }
        let bytes = try Tensor(dtype: .uint8, shape: x.shape, storage: x.storage, byteOffset: x.byteOffset)
        let result = try combine(function.combination, bytes, along: axes, threads: threads)
        // Nothing at all is 255, the largest byte, as a minimum.
        let reduced = try result.view(of: UInt8.self)
        return try y.withMutableSpan(of: Bool.self) { y in
            for index in 0..<y.count { y[index] = reduced[index] & 1 != 0 }
        }
    }
    if function == .logSumExp { return try logSumExp(x, along: axes, into: y, threads: threads) }
    try combine(function.combination, x, along: axes, into: y, threads: threads)
    switch function {
    case .mean:
        let count = axes.reduce(1) { $0 * x.shape[$1] }
        let divisor =
            x.dtype == .float32
            ? try Tensor(scalar: Float(count)) : try cast(Tensor(scalar: Int64(count)), to: x.dtype, threads: threads)
        try arithmetic(.divide, y.tensor, divisor, into: y, threads: threads)
    case .l2: try finish(y.tensor, into: y, threads) { $0.squareRoot() }
    case .logSum: try finish(y.tensor, into: y, threads) { log($0) }
    default: break
    }
}

/// y = function(x) of any numeric type.
private func finish(
    _ x: Tensor, into y: MutableTensor, _ threads: ThreadPool, _ function: @escaping @Sendable (Double) -> Double
) throws {
    struct Visitor: NumericVisitor {
        let x: Tensor
        let y: MutableTensor
        let threads: ThreadPool
        let function: @Sendable (Double) -> Double

        func visit<Element: NumericElement>(_: Element.Type) throws {
            try map(x, into: y, threads: threads) { [function] (value: Element) -> Element in
                .converting(function(value.double))
            }
        }
    }
    try x.dtype.dispatch(Visitor(x: x, y: y, threads: threads, function: function))
}

/// max + log sum exp(x - max), which no exponential overflows.
private func logSumExp(_ x: Tensor, along axes: [Int], into y: MutableTensor, threads: ThreadPool) throws {
    guard x.dtype == .float32 || x.dtype == .float64 else {
        let result = try MutableTensor(dtype: .float64, shape: y.shape)
        try logSumExp(cast(x, to: .float64, threads: threads), along: axes, into: result, threads: threads)
        return try cast(result.tensor, into: y, threads: threads)
    }
    let largest = try combine(.largest, x, along: axes, threads: threads)
    // Infinite maxima would make NaN of themselves.
    let shift = try MutableTensor(dtype: x.dtype, shape: largest.shape)
    try finish(largest, into: shift, threads) { $0.isInfinite ? 0 : $0 }
    let terms = try MutableTensor(dtype: x.dtype, shape: x.shape)
    try arithmetic(.subtract, x, shift.tensor, into: terms, threads: threads)
    if x.dtype == .float32 {
        try VectorKernels.apply(VectorKernels.exp, terms.tensor, into: terms, threads: threads)
    } else {
        try VectorKernels.apply(DoubleKernels.exp, terms.tensor, into: terms, threads: threads)
    }
    let sum = try combine(.sum, terms.tensor, along: axes, threads: threads).reshaped(to: y.shape)
    try finish(sum, into: y, threads) { log($0) }
    try arithmetic(.add, y.tensor, shift.tensor.reshaped(to: y.shape), into: y, threads: threads)
}

/// ReduceSum-1 to -13, ReduceMean-1 to -18, ReduceMax-1 to -20, and their kin.
struct Reduce: Operator {
    let function: ReduceFunction
    /// Nil where the axes are an input or not given.
    let axes: [Int]?
    let takesAxesInput: Bool
    let keepsDimensions: Bool
    /// Whether no axes mean none rather than all.
    let isNoopWithoutAxes: Bool
    /// The axes in 0..<rank, ascending, of a plan that knows them.
    var plannedAxes: [Int]?

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    /// The axes in 0..<rank, ascending.
    private func resolved(_ given: [Int]?, _ shape: Shape) throws -> [Int] {
        guard let given, !given.isEmpty else { return isNoopWithoutAxes ? [] : Array(0..<shape.rank) }
        return try Set(given.map { try shape.axis($0) }).sorted()
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        var given = axes
        if takesAxesInput {
            guard let input = try inputs.optionalIntegers(1) else { return [Fact(dtype: data.dtype)] }
            given = input
        }
        guard let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        let axes = Set(try resolved(given, shape))
        let dimensions = shape.dimensions.indices.compactMap { axis -> Int? in
            axes.contains(axis) ? (keepsDimensions ? 1 : nil) : shape[axis]
        }
        return [Fact(dtype: data.dtype, shape: try Shape(dimensions))]
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard let shape = inputs.first??.shape else { return self }
        var given = axes
        if takesAxesInput {
            guard let input = try InferenceInputs(inputs).optionalIntegers(1) else { return self }
            given = input
        }
        var result = self
        result.plannedAxes = try resolved(given, shape)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let axes =
            try plannedAxes ?? resolved(takesAxesInput ? context.optionalInput(1)?.integers() : self.axes, x.shape)
        let output = try context.output(0)
        // Without axes, as of a scalar, each element is a sum of its own: a magnitude, a square or a logarithm it still becomes.
        if axes.isEmpty {
            if function.keepsSingleElements { return try output.copy(from: x) }
            let column = try x.reshaped(to: Shape([x.count, 1]))
            return try reduce(function, column, along: [1], into: output, threads: context.threads)
        }
        try reduce(function, x, along: axes, into: output, threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let count = inputs.first??.shape?.count ?? 0
        return Cost(flops: Double(count), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    static let definitions = ReduceFunction.allCases.flatMap { function in
        [
            OperatorDefinition(function.rawValue, since: 1) { decoder in
                try decoder.requireInputs(1...1)
                return Reduce(
                    function: function, axes: try decoder.optionalInts("axes"), takesAxesInput: false,
                    keepsDimensions: try decoder.bool("keepdims", default: true), isNoopWithoutAxes: false)
            },
            OperatorDefinition(function.rawValue, since: function.axesInputVersion) { decoder in
                try decoder.requireInputs(1...2)
                return Reduce(
                    function: function, axes: nil, takesAxesInput: true,
                    keepsDimensions: try decoder.bool("keepdims", default: true),
                    isNoopWithoutAxes: try decoder.bool("noop_with_empty_axes", default: false))
            },
        ]
    }
}
