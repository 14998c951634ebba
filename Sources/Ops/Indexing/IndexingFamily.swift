import GraphRuntime

/// Operators that read or write at computed places.
enum IndexingFamily {
    static let definitions: [OperatorDefinition] = []
}
