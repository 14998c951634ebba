import GraphRuntime

/// y = (x - μ) / √(σ² + ε)·γ + β for each channel, and its activation where there is one (Ioffe and Szegedy, "Batch Normalization", 2015, algorithms 1 and 2).
///
/// - Parameters:
///   - x: [N, C, …], or [N] for one channel, of float32 or float64.
///   - y: of x's type and shape; may share x's memory.
///   - mean, variance, scale, bias: C numbers.
///   - activation: for float32 alone.
/// - Throws: ``TensorError`` where the shapes or types don't fit.
func normalizeBatch(
    _ x: Tensor, mean: [Double], variance: [Double], scale: [Double], bias: [Double], epsilon: Double,
    activation: FusedActivation? = nil, into y: MutableTensor, threads: ThreadPool
) throws {
    let channels = x.shape.rank > 1 ? x.shape[1] : 1
    guard x.shape.rank >= 1, y.count == x.count,
        [mean.count, variance.count, scale.count, bias.count].allSatisfy({ $0 == channels })
    else { throw TensorError("\(x.shape) doesn't fit parameters of \(scale.count) channels") }
    guard x.count > 0 else { return }
    let inner = x.shape.rank > 1 ? x.shape.count(2..<x.shape.rank) : 1
    let factor = zip(scale, variance).map { $0 / ($1 + epsilon).squareRoot() }
    guard x.dtype == .float64 else {
        return try NormalizationKernels.channels(
            x, into: y, batch: x.shape[0], inner: inner, mean: mean, factor: factor, bias: bias,
            activation: activation, threads: threads)
    }
    let source = try x.view(of: Double.self)
    try y.withMutableSpan(of: Double.self) { target in
        for index in 0..<target.count {
            let channel = index / inner % channels
            target[index] = (source[index] - mean[channel]) * factor[channel] + bias[channel]
        }
    }
}

/// BatchNormalization (1, 6, 7, 9, 14, 15).
///
/// Inputs: X, scale, B, mean and variance; outputs: Y, and in training the running mean and variance.
struct BatchNormalization: Operator {
    /// Added to the variance; 0 or more.
    let epsilon: Double
    /// Of the running mean and variance in what they become; in training only.
    let momentum: Double
    /// Whether the batch's own mean and variance normalise it.
    let isTraining: Bool
    /// What is applied to Y; float32 alone, and not in training.
    var activation: FusedActivation?

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape {
            guard shape.rank >= 1 else { throw TensorError("X should have the axes [N, C, …], found a scalar") }
            let names = ["scale", "B", "mean", "var"]
            for (index, name) in names.enumerated() {
                try NormalizationArguments.requireCount(inputs[index + 1], shape.rank > 1 ? shape[1] : 1, name)
            }
        }
        let facts = [Fact(dtype: x.dtype, shape: x.shape), try inputs[3], try inputs[4]].map {
            Fact(dtype: $0.dtype, shape: $0.shape)
        }
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let scale = try NormalizationArguments.doubles(context.input(1))
        let bias = try NormalizationArguments.doubles(context.input(2))
        var mean = try NormalizationArguments.doubles(context.input(3))
        var variance = try NormalizationArguments.doubles(context.input(4))
        if isTraining {
            let batch = try Self.moments(x, channels: scale.count, threads: context.threads)
            for (index, (old, new)) in [(mean, batch.mean), (variance, batch.variance)].enumerated() {
                guard let output = context.optionalOutput(index + 1) else { continue }
                try Self.write(zip(old, new).map { $0 * momentum + $1 * (1 - momentum) }, output)
            }
            (mean, variance) = batch
        }
        try normalizeBatch(
            x, mean: mean, variance: variance, scale: scale, bias: bias, epsilon: epsilon, activation: activation,
            into: context.output(0), threads: context.threads)
    }

    private static func moments(
        _ x: Tensor, channels: Int, threads: ThreadPool
    ) throws -> (mean: [Double], variance: [Double]) {
        guard x.count > 0 else {
            let nothing = [Double](repeating: .nan, count: channels)
            return (nothing, nothing)
        }
        let inner = x.count / (x.shape[0] * channels)
        if x.dtype == .float32 {
            return try NormalizationKernels.channelMoments(
                x, batch: x.shape[0], channels: channels, inner: inner, threads: threads)
        }
        let values = try x.view(of: Double.self)
        var means: [Double] = []
        var variances: [Double] = []
        for channel in 0..<channels {
            let own = (0..<x.shape[0]).flatMap { item -> [Double] in
                let start = (item * channels + channel) * inner
                return Array(values[start..<start + inner])
            }
            let (mean, variance) = NormalizationArguments.moments(own)
            means.append(mean)
            variances.append(variance)
        }
        return (means, variances)
    }

    private static func write(_ values: [Double], _ output: MutableTensor) throws(TensorError) {
        guard output.count == values.count else { throw TensorError("\(values.count) channels don't fill \(output.shape)") }
        switch output.dtype {
        case .float64: try output.copy(from: Tensor(values, shape: output.shape))
        default: try output.copy(from: Tensor(values.map { Float($0) }, shape: output.shape))
        }
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: 2 * Double(outputs.first??.shape?.count ?? 0), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }
}

extension BatchNormalization {
    private static func decode(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(5...5)
        if decoder.version < 6 { decoder.ignore("consumed_inputs") }
        if decoder.version < 9, try !decoder.bool("spatial", default: true) {
            throw TensorError("attribute spatial = 0 isn't supported: each channel should have one mean and variance")
        }
        // Before version 7 an attribute told the mode, from then until 14 the number of outputs did.
        var isTraining = false
        if decoder.version >= 14 {
            isTraining = try decoder.bool("training_mode", default: false)
        } else if decoder.version < 7 {
            guard try decoder.bool("is_test", default: false) else {
                throw TensorError("attribute is_test = 0 isn't supported: before opset 14 training is refused")
            }
        }
        guard isTraining ? decoder.outputCount <= 3 : decoder.outputCount <= 1 else {
            throw TensorError("\(decoder.outputCount) outputs are those of a training mode that isn't supported")
        }
        return BatchNormalization(
            epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5)),
            momentum: Double(try decoder.float("momentum", default: 0.9)), isTraining: isTraining)
    }

    static let definitions = [1, 6, 7, 9, 14, 15].map { version in
        OperatorDefinition("BatchNormalization", since: version) { try decode(&$0) }
    }
}
