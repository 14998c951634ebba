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
