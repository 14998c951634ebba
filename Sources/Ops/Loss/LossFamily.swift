import GraphRuntime

/// Losses of classifiers, which evaluation graphs hold.
enum LossFamily {
    static let definitions: [OperatorDefinition] = LogLikelihoodLoss.definitions
}
