import GraphRuntime

/// Operators that run graphs, and those on sequences and optionals.
enum ControlFamily {
    static let definitions: [OperatorDefinition] =
        If.definitions + Loop.definitions + Scan.definitions + SequenceOperators.definitions + OptionalOperators.definitions
}
