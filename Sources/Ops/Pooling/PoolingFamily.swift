import GraphRuntime

/// Pooling over windows.
enum PoolingFamily {
    static let definitions: [OperatorDefinition] = []
}
