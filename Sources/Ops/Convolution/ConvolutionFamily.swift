import GraphRuntime

/// Convolutions.
enum ConvolutionFamily {
    static let definitions: [OperatorDefinition] = Conv.definitions + ConvTranspose.definitions
}
