import GraphRuntime

/// ONNX's operators of the domain ai.onnx.ml, which converters of scikit-learn, LightGBM and XGBoost write.
enum TraditionalMLFamily {
    static let domain = "ai.onnx.ml"
    /// The newest version of the domain whose meaning is implemented here.
    static let newestOpset = 5

    static let definitions: [OperatorDefinition] =
        TreeEnsembleOperators.definitions + LinearModels.definitions + SupportVectorMachines.definitions
        + FeatureScaling.definitions + LabelEncoder.definitions + [
            CategoryMapper.definition, OneHotEncoder.definition, ArrayFeatureExtractor.definition, FeatureVectorizer.definition,
            ZipMap.definition, DictVectorizer.definition, CastMap.definition,
        ]
}

extension OperatorDefinition {
    /// A definition of ai.onnx.ml.
    init(
        traditionalML type: String, since version: Int = 1,
        decode: @escaping @Sendable (inout NodeDecoder) throws -> any Operator
    ) {
        self.init(type, domain: TraditionalMLFamily.domain, since: version, decode: decode)
    }
}
