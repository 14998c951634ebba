import ArgumentParser
import Foundation
import SDPipeline

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Makes pictures from a prompt.",
        discussion: """
            sd-onnx generate "a fox" -o fox.png
            sd-onnx generate "an owl" -b 4 -o owl-%02d.png --scheduler euler --steps 25
            sd-onnx generate "a rocket" -o - | display
            """)

    @Argument(help: "What the picture shows.")
    var promptArgument: String?

    @Option(name: [.customShort("p"), .long], help: "What the picture shows, in the place of the argument.")
    var prompt: String?

    @Option(name: [.customShort("n"), .long], help: "What to keep out of the picture.")
    var negativePrompt = ""

    @OptionGroup var model: ModelOptions

    @Option(
        name: [.short, .long],
        help: "The PNG file to write; %d or %03d becomes the picture's number; - is standard output.")
    var output = "output.png"

    @Option(name: [.customShort("W"), .long], help: "Width in pixels (default: the model's).")
    var width: Int?

    @Option(name: [.customShort("H"), .long], help: "Height in pixels (default: the model's).")
    var height: Int?

    @Option(help: "Steps of the scheduler.")
    var steps = 20

    @Option(help: "Guidance scale: how much the prompt counts; 1 switches guidance off.")
    var cfgScale = 7.5

    @Option(
        name: [.short, .long], parsing: .unconditional, help: "Seed of the start noise; -1 draws one (default: -1).")
    var seed: Seed = Seed.random

    @Option(name: [.short, .long], help: "Pictures to make at once.")
    var batchCount = 1

    @Option(help: "The scheduler: a diffusers class or a short name such as ddim, ddpm, pndm, euler (default: the model's).")
    var scheduler: String?

    @OptionGroup var threads: ThreadOptions

    @Option(help: ArgumentHelp("Write the final latents, [N, C, h, w] before the VAE's scaling factor.", valueName: "FILE.npy"))
    var saveLatents: String?

    @Option(help: ArgumentHelp("Start from these latents, [N, C, h, w] of standard normal noise.", valueName: "FILE.npy"))
    var initLatents: String?

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    @Flag(help: "Print a JSON object about the pictures on standard output.")
    var json = false

    func validate() throws {
        switch (promptArgument, prompt) {
        case (nil, nil): throw ValidationError("There is no prompt: give one as argument or with --prompt.")
        case (.some, .some): throw ValidationError("There are two prompts, the argument and --prompt: give one.")
        default: break
        }
        guard steps >= 1 else { throw ValidationError("--steps is \(steps), expected 1 or more.") }
        guard (1...4096).contains(batchCount) else { throw ValidationError("--batch-count is \(batchCount), expected 1 to 4096.") }
        guard cfgScale.isFinite else { throw ValidationError("--cfg-scale is \(cfgScale), expected a number.") }
        if json && output == "-" { throw ValidationError("--json and -o - would both write to standard output: choose one.") }
        if output == "-" && batchCount > 1 { throw ValidationError("-o - takes one picture, found --batch-count \(batchCount).") }
    }

    func run() throws {
        Interruption.install()
        let files = try outputFiles()
        let pool = try threads.makePool()
        let pipeline = try StableDiffusionPipeline(modelFolder: model.url(), threads: pool)
        var request = GenerationRequest(
            prompt: promptArgument ?? prompt ?? "", negativePrompt: negativePrompt, width: width, height: height, steps: steps,
            guidanceScale: cfgScale, seed: seed.value, batchCount: batchCount, scheduler: scheduler)
        request.initialLatents = try initLatents.map { try initialLatents($0, pipeline: pipeline) }
        warnAboutLength(request.prompt, pipeline)

        var bar = ProgressBar(title: "Steps", isSilent: quiet)
        let result = try pipeline.generate(request) { progress in
            if case .step(let completed, let total) = progress { bar.update(completed: completed, total: total) }
            return true
        }
        let written = try write(result, request: request, to: files)
        try report(result, request: request, files: written)
    }

    /// Where the pictures go; nil for standard output. Decided before the work, so that a bad name costs nothing.
    private func outputFiles() throws -> [URL]? {
        guard output != "-" else {
            if isatty(STDOUT_FILENO) == 1 { throw ValidationError("-o - would write a PNG to the terminal: redirect it.") }
            return nil
        }
        let pattern = try OutputPattern(output)
        let files = (1...batchCount).map { URL(fileURLWithPath: pattern.path(number: $0)) }
        for file in files + [saveLatents].compactMap({ $0.map { URL(fileURLWithPath: $0) } }) { try requireFolder(of: file) }
        return files
    }

    private func requireFolder(of file: URL) throws {
        let folder = file.deletingLastPathComponent()
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw PipelineError("the folder \(folder.path) for \(file.lastPathComponent) doesn't exist")
        }
        guard FileManager.default.isWritableFile(atPath: folder.path) else {
            throw PipelineError("the folder \(folder.path) for \(file.lastPathComponent) can't be written to")
        }
    }

    private func initialLatents(_ path: String, pipeline: StableDiffusionPipeline) throws -> [Float] {
        let array = try NPYArray(contentsOf: URL(fileURLWithPath: path))
        let factor = pipeline.spatialFactor
        let expected = [
            batchCount, pipeline.latentChannels, (height ?? pipeline.defaultSize) / factor, (width ?? pipeline.defaultSize) / factor,
        ]
        guard array.shape == expected else {
            throw PipelineError("\(path) has shape \(array.shape), expected \(expected)")
        }
        return try array.floats()
    }

    private func warnAboutLength(_ prompt: String, _ pipeline: StableDiffusionPipeline) {
        let count = pipeline.tokenizer.encode(prompt).count
        guard count > pipeline.tokenLimit, !quiet else { return }
        StandardStreams.printError(
            "The prompt has \(count - 2) tokens; the text encoder takes \(pipeline.tokenLimit - 2), the rest is cut off.")
    }

    private func write(_ result: GenerationResult, request: GenerationRequest, to files: [URL]?) throws -> [String] {
        let text = [PNGText(key: "parameters", text: parameters(result, request: request))]
        let pictures = try result.images.map { try PNGFile.encode($0, text: text) }
        return try Interruption.whileWriting {
            if let files {
                for (file, picture) in zip(files, pictures) { try AtomicFile.write(picture, to: file) }
            } else {
                for picture in pictures { try FileHandle.standardOutput.write(contentsOf: picture) }
            }
            if let saveLatents {
                try NPYArray(floats: result.latents, shape: result.latentShape).write(to: URL(fileURLWithPath: saveLatents))
            }
            return files?.map(\.path) ?? ["-"]
        }
    }

    /// The settings in the form that other programs of this field write into their pictures.
    private func parameters(_ result: GenerationResult, request: GenerationRequest) -> String {
        let size = result.images.first.map { "\($0.width)x\($0.height)" } ?? ""
        let negative = request.negativePrompt.isEmpty ? "" : "\nNegative prompt: \(request.negativePrompt)"
        return request.prompt + negative
            + "\nSteps: \(steps), Sampler: \(result.schedulerName), CFG scale: \(cfgScale), Seed: \(request.seed), Size: \(size)"
    }

    private struct Answer: Encodable {
        let files: [String]
        let prompt: String
        let negativePrompt: String
        let seed: UInt64
        let width: Int
        let height: Int
        let steps: Int
        let cfgScale: Double
        let scheduler: String
        let seconds: GenerationResult.Timings
    }

    private func report(_ result: GenerationResult, request: GenerationRequest, files: [String]) throws {
        if json {
            try StandardStreams.printJSON(
                Answer(
                    files: files, prompt: request.prompt, negativePrompt: request.negativePrompt, seed: request.seed,
                    width: result.images.first?.width ?? 0, height: result.images.first?.height ?? 0, steps: steps,
                    cfgScale: cfgScale, scheduler: result.schedulerName, seconds: result.timings))
        } else if !quiet {
            let timings = result.timings
            StandardStreams.printError(
                String(
                    format: "%@ (seed %@, %@): %.2f s, of which U-Net %.2f s, VAE %.2f s", files.joined(separator: ", "),
                    String(request.seed), result.schedulerName, timings.total, timings.unet, timings.vaeDecoder))
        }
    }
}

/// A seed as people type it: 0 to 2^64 - 1, or -1 for one that is drawn.
struct Seed: ExpressibleByArgument {
    let value: UInt64

    /// Below 2^32, so that every other program takes it too.
    static var random: Seed { Seed(value: UInt64(UInt32.random(in: .min ... .max))) }

    init(value: UInt64) { self.value = value }

    init?(argument: String) {
        if argument == "-1" {
            self = .random
        } else if let value = UInt64(argument) {
            self.value = value
        } else {
            return nil
        }
    }

    var defaultValueDescription: String { "drawn" }
}
