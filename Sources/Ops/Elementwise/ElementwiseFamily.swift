import GraphRuntime

/// Operators that compute element by element, with broadcasting.
enum ElementwiseFamily {
    static let definitions: [OperatorDefinition] = []
}
