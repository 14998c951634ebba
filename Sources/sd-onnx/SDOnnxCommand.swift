import ArgumentParser

@main
struct SDOnnxCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sd-onnx",
        abstract: "Runs Stable Diffusion from ONNX models on the CPU.",
        discussion: """
            sd-onnx generate "a red apple on a blue background" -o apple.png

            Exit codes: 0 success; 1 the work failed (a missing or malformed file, a request that the model can't meet); \
            64 wrong options; 130 interrupted.
            """,
        subcommands: [GenerateCommand.self, RunCommand.self, BenchCommand.self, TokenizeCommand.self])
}
