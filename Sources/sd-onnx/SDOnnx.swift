import ArgumentParser

@main
struct SDOnnx: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sd-onnx", abstract: "Runs Stable Diffusion from ONNX models on the CPU.")
}
