import GraphRuntime

/// MeanVarianceNormalization (9, 13), and the experimental version 1, which ONNX Runtime has in older opsets.
struct MeanVarianceNormalization: Operator {
    /// What means are taken over.
    enum Axes: Sendable {
        /// They may count from the end.
        case listed([Int])
        /// Of the first four, as ONNX Runtime has it.
        case all
        /// Likewise.
        case allButChannels
    }

    let axes: Axes
    /// Whether it divides by the deviation.
    var scales = true

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private func resolved(_ shape: Shape) throws(TensorError) -> Set<Int> {
        switch axes {
        case .listed(let axes): Set(try axes.map { axis throws(TensorError) in try shape.axis(axis) })
        case .all: Set(0..<min(shape.rank, 4))
        case .allButChannels: Set(0..<min(shape.rank, 4)).subtracting([1])
        }
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
        case .float64:
            try normalizeMeanVariance(
                x, axes: axes, scales: scales, into: context.output(0), threads: context.threads, Double.self)
        default:
            try normalizeMeanVariance(
                x, axes: axes, scales: scales, into: context.output(0), threads: context.threads, Float.self)
        }
    }
}

extension MeanVarianceNormalization {
    static let definitions =
        [
            OperatorDefinition("MeanVarianceNormalization", since: 1) { decoder in
                try decoder.requireInputs(1...1)
                let axes = try decoder.bool("across_channels", default: false) ? Axes.all : .allButChannels
                return MeanVarianceNormalization(axes: axes, scales: try decoder.bool("normalize_variance", default: true))
            }
        ]
        + [9, 13].map { version in
            OperatorDefinition("MeanVarianceNormalization", since: version) { decoder in
                try decoder.requireInputs(1...1)
                return MeanVarianceNormalization(axes: .listed(try decoder.optionalInts("axes") ?? [0, 2, 3]))
            }
        }
}
