import GraphRuntime

/// Operators that resample pictures.
enum ResizeFamily {
    static let definitions: [OperatorDefinition] = []
}
