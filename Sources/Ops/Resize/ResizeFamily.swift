import GraphRuntime

/// Operators that show a tensor at other places than its own: resizing, sampling.
enum ResizeFamily {
    static let definitions: [OperatorDefinition] = Resize.definitions
}
