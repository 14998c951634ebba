import GraphRuntime

/// Operators that draw random numbers.
enum RandomFamily {
    static let definitions: [OperatorDefinition] =
        RandomTensor.definitions + Dropout.definitions + [Bernoulli.definition, Multinomial.definition]
}
