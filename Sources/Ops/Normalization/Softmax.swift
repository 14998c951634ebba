import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// e^(x - max) / Σ e^(x - max), or its logarithm, along the middle axis of [outer, count, inner].
///
/// - Parameters:
///   - x: of float32 or float64, of outer·count·inner elements.
///   - y: of x's type and size; may share x's memory.
/// - Throws: ``TensorError`` where the sizes or types don't fit.
package func softmax(
    _ x: Tensor, outer: Int, count: Int, inner: Int, isLogarithm: Bool, into y: MutableTensor, threads: ThreadPool
) throws(TensorError) {
    guard x.count == outer * count * inner, y.count == x.count else {
        throw TensorError("\(x.shape) doesn't fit \(outer) · \(count) · \(inner) elements")
    }
    guard x.count > 0 else { return }
    guard x.dtype == .float64 else {
        return try NormalizationKernels.softmax(
            x, into: y, outer: outer, count: count, inner: inner, isLogarithm: isLogarithm, threads: threads)
    }
    let source = try x.view(of: Double.self)
    try y.forEachLine(of: Double.self, count: count, inner: inner, grain: inner, threads: threads) { line, target in
        let start = line / inner * count * inner + line % inner
        let places = stride(from: start, to: start + count * inner, by: inner)
        let maximum = places.reduce(-Double.infinity) { max($0, source[$1]) }
        let sum = places.reduce(0) { $0 + exp(source[$1] - maximum) }
        let logarithm = log(sum)
        for index in 0..<count {
            let difference = source[start + index * inner] - maximum
            target[index] = isLogarithm ? difference - logarithm : exp(difference) / sum
        }
    }
}

/// The axis or axes along which Softmax, LogSoftmax and Hardmax work.
struct SoftmaxAxis {
    let axis: Int
    /// Before version 13 the input was taken as a matrix, whose columns were all axes from `axis` on.
    let isFlattened: Bool

    init(_ decoder: inout NodeDecoder) throws(TensorError) {
        isFlattened = decoder.version < 13
        axis = try decoder.int("axis", default: isFlattened ? 1 : -1)
    }

    /// - Throws: ``TensorError`` where the axis is outside of the shape.
    func extents(_ shape: Shape) throws(TensorError) -> (outer: Int, count: Int, inner: Int) {
        // A matrix of one column per element: what a flattening behind the last axis amounts to.
        if isFlattened, axis == shape.rank { return (shape.count, 1, 1) }
        let axis = try shape.axis(axis)
        if isFlattened { return (shape.count(0..<axis), shape.count(axis..<shape.rank), 1) }
        return (shape.count(0..<axis), shape[axis], shape.count(axis + 1..<shape.rank))
    }

    func infer(_ inputs: InferenceInputs) throws(TensorError) -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "input")
        if let shape = x.shape { _ = try extents(shape) }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }
}

/// Softmax and LogSoftmax (1, 11, 13).
struct Softmax: Operator {
    let axis: SoftmaxAxis
    let isLogarithm: Bool

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { try axis.infer(inputs) }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let (outer, count, inner) = try axis.extents(x.shape)
        try softmax(
            x, outer: outer, count: count, inner: inner, isLogarithm: isLogarithm, into: context.output(0),
            threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: 5 * Double(outputs.first??.shape?.count ?? 0), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }
}

extension Softmax {
    static let definitions = [("Softmax", false), ("LogSoftmax", true)].flatMap { type, isLogarithm in
        [1, 11, 13].map { version in
            OperatorDefinition(type, since: version) { decoder in
                try decoder.requireInputs(1...1)
                return Softmax(axis: try SoftmaxAxis(&decoder), isLogarithm: isLogarithm)
            }
        }
    }
}
