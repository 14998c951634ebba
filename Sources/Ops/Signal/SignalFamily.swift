import GraphRuntime

/// Fourier transforms, windows and filter banks.
enum SignalFamily {
    static let definitions: [OperatorDefinition] =
        DFT.definitions + [STFT.definition, MelWeightMatrix.definition] + Window.definitions
}
