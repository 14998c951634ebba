import GraphRuntime

/// Operators with graphs of their own, and sequences.
enum ControlFamily {
    static let definitions: [OperatorDefinition] = []
}
