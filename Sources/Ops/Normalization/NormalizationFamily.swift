import GraphRuntime

/// Normalisations, and softmax.
enum NormalizationFamily {
    static let definitions: [OperatorDefinition] =
        GroupNormalization.definitions + LayerNormalization.definitions + RMSNormalization.definitions + Softmax.definitions
        + Hardmax.definitions + BatchNormalization.definitions + LpNormalization.definitions
        + MeanVarianceNormalization.definitions + LRN.definitions + [SkipSimplifiedLayerNormalization.definition]
}
