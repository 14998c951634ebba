import GraphRuntime

/// Attention as one operator.
enum AttentionFamily {
    static let definitions: [OperatorDefinition] =
        Attention.definitions + RotaryEmbedding.definitions + [FlexAttention.definition]
}
