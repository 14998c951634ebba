import GraphRuntime

/// Operators on quantised numbers.
enum QuantizationFamily {
    static let definitions: [OperatorDefinition] = []
}
