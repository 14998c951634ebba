import ArgumentParser
import GraphRuntime

/// Where the numbers of half-precision models are rounded.
struct HalfRoundingOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Round numbers of half-precision models at outputs, as ONNX Runtime does on a CPU, or after every node, as the standard says. (default: outputs)",
            valueName: "outputs|nodes"),
        transform: OptionValues.choice)
    var halfRounding = HalfRounding.outputs
}
