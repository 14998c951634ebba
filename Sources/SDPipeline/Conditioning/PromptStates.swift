/// What text encoders make of one prompt.
struct PromptStates: Sendable, Equatable {
    /// States that the U-Net attends to, [tokenCount, width] row-major.
    var values: [Float]
    let tokenCount: Int
    /// Of one state.
    let width: Int
    /// States of the whole prompt, where the encoder projects them.
    var pooled: [Float]?

    /// Zeros in the place of every number: what SDXL takes for no negative prompt.
    var zeros: PromptStates {
        PromptStates(
            values: [Float](repeating: 0, count: values.count), tokenCount: tokenCount, width: width,
            pooled: pooled.map { [Float](repeating: 0, count: $0.count) })
    }

    /// A weighted mean of two prompts' states of the same shape, number by number: (1 − share) · a + share · b.
    func mixed(with other: PromptStates, share: Float) -> PromptStates {
        // Each end is that prompt's states to the last bit, as in torch.lerp.
        func mean(_ first: [Float], _ second: [Float]) -> [Float] {
            zip(first, second).map { share < 0.5 ? $0 + share * ($1 - $0) : $1 - (1 - share) * ($1 - $0) }
        }
        var result = self
        result.values = mean(values, other.values)
        if let pooled, let others = other.pooled { result.pooled = mean(pooled, others) }
        return result
    }

    /// The states of one chunk multiplied by its tokens' weights, and then all by one factor, so that their mean is what it was, as
    /// AUTOMATIC1111's web interface does it. Pooled states stay as they are.
    ///
    /// - Parameter weights: one for each token; none for 1.
    /// - Throws: ``PipelineError`` where there is no such factor.
    func weighted(by weights: [Float]) throws -> PromptStates {
        guard !weights.isEmpty else { return self }
        var result = self
        for token in 0..<tokenCount {
            for index in token * width..<(token + 1) * width { result.values[index] *= weights[token] }
        }
        func mean(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) } / Double(values.count) }
        let factor = Float(mean(values) / mean(result.values))
        for index in result.values.indices { result.values[index] *= factor }
        guard result.values.span.isFinite else {
            throw PipelineError(
                "The prompt's weights, from \(weights.min() ?? 1) to \(weights.max() ?? 1), make states of it that aren't finite numbers: "
                    + "weights nearer to 1 are needed.", kind: .invalidRequest)
        }
        return result
    }

    /// The states of a prompt's chunks one after another, with the pooled states of the first.
    ///
    /// - Parameter parts: one or more.
    static func following(_ parts: [PromptStates]) -> PromptStates {
        guard parts.count > 1 else { return parts[0] }
        return PromptStates(
            values: parts.flatMap(\.values), tokenCount: parts.map(\.tokenCount).reduce(0, +), width: parts[0].width,
            pooled: parts[0].pooled)
    }

    /// The states of several encoders side by side, [tokenCount, sum of widths], with the pooled states of the last one that has some.
    static func joined(_ parts: [PromptStates]) throws -> PromptStates {
        guard let first = parts.first else { throw PipelineError("The model has no text encoder.", kind: .unsupportedModel) }
        guard parts.count > 1 else { return first }
        guard parts.allSatisfy({ $0.tokenCount == first.tokenCount }) else {
            throw PipelineError(
                "The text encoders take \(parts.map { "\($0.tokenCount)" }.joined(separator: " and ")) tokens, expected as many of each.",
                kind: .unsupportedModel)
        }
        var values: [Float] = []
        for token in 0..<first.tokenCount {
            for part in parts { values += part.values[token * part.width..<(token + 1) * part.width] }
        }
        return PromptStates(
            values: values, tokenCount: first.tokenCount, width: parts.map(\.width).reduce(0, +),
            pooled: parts.last { $0.pooled != nil }?.pooled)
    }
}
