import GraphRuntime

/// Non-linear functions of one tensor.
enum ActivationFamily {
    static let definitions: [OperatorDefinition] = []
}
