import ArgumentParser
import GraphRuntime

/// In which numbers products are computed.
struct PrecisionOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Round the factors of products: bf16 takes less memory, and on AMD's processors with AVX512-BF16 less time. (default: fp32)",
            valueName: "fp32|bf16"),
        transform: OptionValues.choice)
    var precision = Precision.single

    @OptionGroup var half: HalfRoundingOptions

    /// - Throws: a usage error where the graph is to run as it is in the file.
    func check(noOptimize: Bool) throws {
        if noOptimize, precision != .single {
            throw ValidationError(
                "--precision \(precision.rawValue) is for optimised graphs, and --no-optimize switches that off: leave out one."
            )
        }
    }
}
