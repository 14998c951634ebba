import GraphRuntime

/// Operators that carry a state along a sequence.
enum RecurrentFamily {
    static let definitions: [OperatorDefinition] =
        LSTMCell.definitions + GRUCell.definitions + RNNCell.definitions
        + [LinearAttention.definition, CausalConvolution.definition]
}
