import ArgumentParser
import GraphRuntime

/// In which numbers products are computed.
struct PrecisionOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Round the factors of products: bf16 takes less memory, and on processors with AMX and AMD's with AVX512-BF16 less time; int8 \
            takes less of both where there is VNNI or AMX, and makes other pictures. (default: fp32)
            """,
            valueName: "fp32|bf16|int8"),
        transform: OptionValues.choice)
    var precision = Precision.single

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep weights in memory in 8 bits, or in 4, with scales: less memory, and other pictures. (default: stored, as in the file)",
            valueName: "stored|int8|int4"),
        transform: OptionValues.choice)
    var weights = WeightFormat.stored

    @OptionGroup var half: HalfRoundingOptions

    /// - Throws: a usage error where the graph is to run as it is in the file, or weights are read from the file in each run.
    func check(noOptimize: Bool, memory: MemoryOptions) throws {
        if weights != .stored, noOptimize {
            throw ValidationError(
                "--weights \(weights.rawValue) is for optimised graphs, and --no-optimize switches that off: leave out one.")
        }
        if weights != .stored, memory.savesMemory {
            throw ValidationError(
                "--weights \(weights.rawValue) keeps weights in memory, and --low-memory reads them from the files in each run: leave out one."
            )
        }
        if noOptimize, memory.panelCacheFolder != nil {
            throw ValidationError(
                "--panel-cache is for optimised graphs, whose weights are packed, and --no-optimize switches that off: leave out one."
            )
        }
        if noOptimize, precision != .single {
            throw ValidationError(
                "--precision \(precision.rawValue) is for optimised graphs, and --no-optimize switches that off: leave out one."
            )
        }
    }
}
