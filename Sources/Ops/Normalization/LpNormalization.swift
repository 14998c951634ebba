import GraphRuntime

/// Divides by the sum of magnitudes (p = 1) or the root of the sum of squares (p = 2) along an axis; zeros where that is 0.
///
/// - Parameter y: of x's shape; may share x's memory.
/// - Throws: ``TensorError`` where it isn't, or tensors aren't of float64.
private func normalizeLpDoubles(_ x: Tensor, p: Int, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool)
    throws(TensorError)
{
    let source = try x.view(of: Double.self)
    let (count, inner) = (split.count, split.inner)
    guard y.count == x.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    guard x.count > 0 else { return }
    let grain = max(4096 / count, 1)
    try y.forEachLine(of: Double.self, count: count, inner: inner, grain: grain, threads: threads) { line, target in
        let start = line / inner * count * inner + line % inner
        var norm = 0.0
        for index in 0..<count {
            let value = source[start + index * inner]
            norm += p == 1 ? abs(value) : value * value
        }
        if p == 2 { norm = norm.squareRoot() }
        for index in 0..<count {
            target[index] = norm == 0 ? 0 : source[start + index * inner] / norm
        }
    }
}

/// LpNormalization (1, 22).
struct LpNormalization: Operator {
    /// May count from the end.
    let axis: Int
    /// 1 or 2.
    let p: Int

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "input")
        if let shape = x.shape { _ = try shape.axis(axis) }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let split = AxisSplit(x.shape, axis: try x.shape.axis(axis))
        let output = try context.output(0)
        if x.dtype == .float64 {
            try normalizeLpDoubles(x, p: p, split, into: output, threads: context.threads)
        } else {
            try normalizeLpFloats(x, p: p, split, into: output, threads: context.threads)
        }
    }
}

extension LpNormalization {
    static let definitions = [1, 22].map { version in
        OperatorDefinition("LpNormalization", since: version) { decoder in
            try decoder.requireInputs(1...1)
            let p = try decoder.int("p", default: 2)
            guard p == 1 || p == 2 else { throw TensorError("attribute p should be 1 or 2, found \(p)") }
            return LpNormalization(axis: try decoder.int("axis", default: -1), p: p)
        }
    }
}
