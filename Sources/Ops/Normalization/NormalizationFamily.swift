import GraphRuntime

/// Normalisations, and softmax.
enum NormalizationFamily {
    static let definitions: [OperatorDefinition] = []
}
