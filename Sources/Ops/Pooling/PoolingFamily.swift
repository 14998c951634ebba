import GraphRuntime

/// Operators that reduce windows, or whole planes, to one number each.
enum PoolingFamily {
    static let definitions: [OperatorDefinition] =
        MaxPool.definitions + AveragePool.definitions + LpPool.definitions + GlobalPool.definitions + MaxUnpool.definitions
}
