import ArgumentParser

/// What pictures say of themselves: read from one, and left out of those that are made.
struct ReplayOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Make this picture again by what its file says: a PNG or JPEG of sd-onnx, AUTOMATIC1111, ComfyUI, NovelAI or InvokeAI. Other options come before what it says.",
            valueName: "FILE"), transform: OptionValues.path)
    var from: String?

    @Flag(help: "Write pictures that don't say how they were made.")
    var stripMetadata = false
}
