import GraphRuntime

/// Activation functions of one tensor.
enum ActivationFamily {
    static let definitions: [OperatorDefinition] =
        Activation.definitions + ParametricActivation.definitions + BiasedGelu.definitions + [
            Shrink.definition, SwiGLU.definition,
        ]
}
