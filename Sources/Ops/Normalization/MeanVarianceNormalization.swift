import GraphRuntime

/// (x - μ) / (σ + 1e-9) with mean and deviation over some axes, as ONNX's function body of MeanVarianceNormalization has it.
///
/// - Parameters:
///   - axes: the axes to average over, in 0..<rank.
///   - y: of x's type and shape; may share x's memory.
package func normalizeMeanVariance<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, axes: Set<Int>, into y: MutableTensor, threads: ThreadPool, _ type: Element.Type
) throws(TensorError) {
    nonisolated(unsafe) let source = unsafe try x.buffer(of: type)
    nonisolated(unsafe) let target = unsafe try y.buffer(of: type)
    guard y.count == x.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    guard x.count > 0 else { return }
    func offsets(_ isIncluded: (Int) -> Bool) -> [Int] {
        var result = [0]
        for (axis, (extent, step)) in zip(x.shape.dimensions, x.shape.strides).enumerated() where isIncluded(axis) {
            result = result.flatMap { start in (0..<extent).map { start + $0 * step } }
        }
        return result
    }
    let averaged = offsets { axes.contains($0) }
    let kept = offsets { !axes.contains($0) }
    threads.forEachRange(kept.count, grain: max(4096 / averaged.count, 1)) { range in
        for start in kept[range] {
            var sum = 0.0
            for offset in averaged { unsafe sum += Double(source[start + offset]) }
            let mean = sum / Double(averaged.count)
            var squares = 0.0
            for offset in averaged {
                let difference = unsafe Double(source[start + offset]) - mean
                squares += difference * difference
            }
            let deviation = (squares / Double(averaged.count)).squareRoot() + 1e-9
            for offset in averaged {
                unsafe target[start + offset] = unsafe Element((Double(source[start + offset]) - mean) / deviation)
            }
        }
    }
}

/// MeanVarianceNormalization (9, 13).
struct MeanVarianceNormalization: Operator {
    /// May count from the end.
    let axes: [Int]

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private func resolved(_ shape: Shape) throws(TensorError) -> Set<Int> {
        Set(try axes.map { axis throws(TensorError) in try shape.axis(axis) })
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape { _ = try resolved(shape) }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let axes = try resolved(x.shape)
        switch x.dtype {
        case .float64: try normalizeMeanVariance(x, axes: axes, into: context.output(0), threads: context.threads, Double.self)
        default: try normalizeMeanVariance(x, axes: axes, into: context.output(0), threads: context.threads, Float.self)
        }
    }
}

extension MeanVarianceNormalization {
    static let definitions = [9, 13].map { version in
        OperatorDefinition("MeanVarianceNormalization", since: version) { decoder in
            try decoder.requireInputs(1...1)
            return MeanVarianceNormalization(axes: try decoder.optionalInts("axes") ?? [0, 2, 3])
        }
    }
}
