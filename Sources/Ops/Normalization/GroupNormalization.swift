import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Divides the channels of `x` into groups, brings each group of each sample to mean 0 and variance 1 and applies a scale and bias
/// per channel (Wu and He, "Group Normalization", 2018, equations 1 to 4 and 6): y = (x - μ) / √(σ² + ε)·γ + β.
///
/// - Parameters:
///   - x: [N, C, …] of float32 or float64; the variance is the population's, over C / groups channels and all further axes.
///   - scale: γ, C numbers.
///   - bias: β, C numbers.
///   - groups: a divisor of C.
///   - hasSiLU: whether y·σ(y) is written in place of y.
///   - y: of x's type and shape; may share x's memory.
/// - Throws: ``TensorError`` where the shapes or types don't fit.
package func normalizeGroups(
    _ x: Tensor, scale: [Double], bias: [Double], groups: Int, epsilon: Double, hasSiLU: Bool = false, into y: MutableTensor,
    threads: ThreadPool
) throws(TensorError) {
    guard x.shape.rank >= 2, x.count == y.count else {
        throw TensorError("expected [N, C, …], found \(x.shape) for an output of \(y.shape)")
    }
    let channels = x.shape[1]
    guard groups > 0, channels % groups == 0, scale.count == channels, bias.count == channels else {
        throw TensorError(
            "\(channels) channels don't fit \(groups) groups, \(scale.count) scales and \(bias.count) biases")
    }
    guard x.count > 0 else { return }
    let layout = NormalizationKernels.GroupLayout(
        batch: x.shape[0], groups: groups, channelsPerGroup: channels / groups, inner: x.shape.count(2..<x.shape.rank))
    guard x.dtype == .float64 else {
        return try NormalizationKernels.groups(
            x, into: y, layout: layout, scale: scale, bias: bias, epsilon: epsilon, hasSiLU: hasSiLU, threads: threads)
    }
    let source = try x.view(of: Double.self)
    try y.forEachSlice(of: Double.self, unit: layout.blockCount, grain: 1, threads: threads) { blocks, target in
        let start = blocks.lowerBound * layout.blockCount
        for block in blocks {
            let range = block * layout.blockCount..<(block + 1) * layout.blockCount
            let (mean, variance) = NormalizationArguments.moments(source[range])
            let factor = 1 / (variance + epsilon).squareRoot()
            for index in range {
                let channel = index / layout.inner % channels
                let value = (source[index] - mean) * factor * scale[channel] + bias[channel]
                target[index - start] = hasSiLU ? value / (1 + exp(-value)) : value
            }
        }
    }
}

/// GroupNormalization, of which InstanceNormalization is the case of as many groups as channels.
///
/// Inputs: X [N, C, …], scale, bias. The runtime's fusions build it with ``numGroups`` of their own and ``hasSiLU``.
struct GroupNormalization: Operator {
    /// What the elements of scale and bias belong to.
    enum Parameters { case channels, groups }

    /// The number of groups; nil for one per channel.
    let numGroups: Int?
    /// Added to the variance; 0 or more.
    let epsilon: Double
    /// Scale and bias have one element per channel, or, before opset 21, one per group. Their shape doesn't matter.
    var parameters = Parameters.channels
    /// Whether y·σ(y) is written in place of y.
    var hasSiLU = false

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    var kernelName: String? { hasSiLU ? "groups+silu" : "groups" }

    var mergeKey: String? {
        "GroupNormalization \(numGroups ?? 0) \(epsilon) \(parameters) \(hasSiLU)"
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        let scale = try inputs[1]
        let bias = try inputs[2]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        try NormalizationArguments.requireFloatingPoint(scale, "scale")
        try NormalizationArguments.requireFloatingPoint(bias, "bias")
        if let shape = x.shape {
            guard shape.rank >= 2 else { throw TensorError("X should have the axes [N, C, …], found shape \(shape)") }
            let groups = numGroups ?? shape[1]
            if let numGroups, shape[1] % numGroups != 0 {
                throw TensorError("\(shape[1]) channels of X \(shape) don't divide into \(numGroups) groups")
            }
            let count = parameters == .groups ? groups : shape[1]
            try NormalizationArguments.requireCount(scale, count, "scale")
            try NormalizationArguments.requireCount(bias, count, "bias")
        }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        var scale = try NormalizationArguments.doubles(context.input(1))
        var bias = try NormalizationArguments.doubles(context.input(2))
        guard x.count > 0 else { return }
        let groups = numGroups ?? x.shape[1]
        if parameters == .groups {
            let size = x.shape[1] / groups
            scale = scale.flatMap { repeatElement($0, count: size) }
            bias = bias.flatMap { repeatElement($0, count: size) }
        }
        try normalizeGroups(
            x, scale: scale, bias: bias, groups: groups, epsilon: epsilon, hasSiLU: hasSiLU, into: context.output(0),
            threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: 8 * Double(outputs.first??.shape?.count ?? 0), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }
}

extension GroupNormalization {
    static func decodeGroups(_ decoder: inout NodeDecoder, parameters: Parameters) throws -> any Operator {
        try decoder.requireInputs(3...3)
        let groups = try decoder.requiredInt("num_groups")
        guard groups > 0 else { throw TensorError("attribute num_groups should be 1 or more, found \(groups)") }
        let epsilon = try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5))
        if parameters == .channels { try NormalizationArguments.requireStashType(&decoder) }
        return GroupNormalization(numGroups: groups, epsilon: epsilon, parameters: parameters)
    }

    static func decodeInstances(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(3...3)
        // Version 1 named the inputs whose memory may be reused.
        if decoder.version < 6 { decoder.ignore("consumed_inputs") }
        let epsilon = try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5), mayBeNegative: true)
        return GroupNormalization(numGroups: nil, epsilon: epsilon)
    }

    static let definitions = [
        OperatorDefinition("GroupNormalization", since: 18) { try decodeGroups(&$0, parameters: .groups) },
        OperatorDefinition("GroupNormalization", since: 21) { try decodeGroups(&$0, parameters: .channels) },
        OperatorDefinition("InstanceNormalization", since: 1) { try decodeInstances(&$0) },
        OperatorDefinition("InstanceNormalization", since: 6) { try decodeInstances(&$0) },
        OperatorDefinition("InstanceNormalization", since: 22) { try decodeInstances(&$0) },
    ]
}
