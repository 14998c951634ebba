import ArgumentParser
import SDPipeline

/// Whose token ids a prompt becomes.
struct TokenizerOptions: ParsableArguments {
    @Option(
        name: .customLong("tokenizer"), parsing: .unconditional,
        help: ArgumentHelp(
            "Whose token ids a prompt becomes; the two differ for ideographs, joined emoji and zero-width characters. (default: transformers5)",
            valueName: "transformers5|transformers4"),
        transform: OptionValues.choice)
    var convention = TokenizerConvention.transformers5
}
