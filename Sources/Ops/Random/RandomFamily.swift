import GraphRuntime

/// Operators that draw random numbers.
enum RandomFamily {
    static let definitions: [OperatorDefinition] = []
}
