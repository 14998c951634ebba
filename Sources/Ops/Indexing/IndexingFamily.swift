import GraphRuntime

/// Operators that take or place elements by their indices.
enum IndexingFamily {
    static let definitions: [OperatorDefinition] =
        Gather.definitions + GatherElements.definitions + GatherND.definitions + ScatterElements.definitions
        + ScatterND.definitions + TensorScatter.definitions + OneHot.definitions + NonZeroIndices.definitions
        + Trilu.definitions
        + TopK.definitions + Compress.definitions + Unique.definitions + NonMaxSuppression.definitions
}
