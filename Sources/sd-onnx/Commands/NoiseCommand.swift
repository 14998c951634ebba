import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

struct NoiseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "noise", abstract: "Shows a picture dissolve in noise: forward diffusion at chosen timesteps.",
        discussion: """
            Each picture is a draw from q(x_t | x_0) = N(sqrt(alpha_t) x_0, (1 - alpha_t) I), alpha_t the cumulative product of 1 - beta \
            of the model, all with the same noise: on pixels, or with --latent on the latents of the model's VAE, which are then decoded.

            EXAMPLES:
              sd-onnx noise fox.png --timesteps 0,100,250,500,999 -o noise.png
              sd-onnx noise fox.png --latent -o step-%d.png
            """)

    @Argument(help: "The picture, a PNG or JPEG file.", transform: OptionValues.path)
    var image: String

    @OptionGroup var model: ModelOptions

    @Flag(help: "Add the noise to the picture's latents, as diffusion does, and decode them.")
    var latent = false

    @Option(
        parsing: .unconditional, help: "Pictures, evenly spread over the timesteps. (default: 8)",
        transform: OptionValues.whole(1...1000))
    var steps = 8

    @Option(
        parsing: .unconditional, help: ArgumentHelp("The timesteps themselves, in the place of --steps.", valueName: "0,250,…"),
        transform: OptionValues.numbers)
    var timesteps: [Double]?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The schedule of betas: linear, scaled_linear, squaredcos_cap_v2, sigmoid. (default: the model's)",
            valueName: "NAME"))
    var betaSchedule: String?

    @Option(
        name: [.short, .long], parsing: .unconditional, help: "Seed of the noise. (default: 0)", transform: OptionValues.seed)
    var seed: Seed?

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: ArgumentHelp("The strip to write; with %d a file for each picture. (default: noise.png)", valueName: "FILE.png"),
        transform: OptionValues.path)
    var output = "noise.png"

    @OptionGroup var limit: PixelLimitOptions

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    func validate() throws {
        if output.isEmpty || output == "-" {
            throw ValidationError("--output is \(output.isEmpty ? "empty" : "-"), expected a file's name.")
        }
        try OutputFormat.png.check(output, option: "--output")
    }

    func run() throws {
        let pattern = output.contains("%") ? try OutputPattern(output) : nil
        if pattern?.saysMore == true {
            throw CommandFailure(
                "The output name \(output) has a place for a seed or a prompt, and noise on a picture has neither.")
        }
        func file(_ number: Int) -> URL { URL(fileURLWithPath: pattern?.path(number: number) ?? output) }
        // As many as there are at most.
        try AtomicFile.check((1...max(timesteps?.count ?? steps, 1)).map(file))
        let source = try PictureSource(contentsOf: URL(fileURLWithPath: image), pixelLimit: limit.maxPixels)
        let folder = try model.folder()
        let overrides: [String: SchedulerValue] = betaSchedule.map { ["beta_schedule": .text($0)] } ?? [:]
        let registry = SchedulerRegistry.standard
        let settings = try SchedulerSettings(
            folder.schedulerSettings(), for: try registry.find("ddpm").descriptor, overrides: overrides)
        let chosen = try chosenTimesteps(settings)
        let scheduler = try DDPMScheduler(settings: settings, request: .timesteps(chosen.map(Double.init)))
        try checkMemory(source, count: chosen.count)
        let picture = try source.decoded()
        // The scheduler counts down, the pictures go from the original to noise.
        let pictures = try dissolved(picture, folder: folder, scheduler: scheduler, indices: chosen.indices.reversed())
        let cells = zip(pictures, chosen.reversed()).map { ContactSheet.Cell(image: $0, lines: ["\($1)"]) }
        let images =
            pattern == nil ? [try ContactSheet(cells: cells, columns: cells.count).image()] : cells.map(\.image)
        let files = try images.enumerated().map { (bytes: try PNGFile.encode($1), url: file($0 + 1)) }
        try Interruption.whileWriting { try AtomicFile.write(files) }
    }

    /// Refuses a picture that, with its noise in single precision and all results, is more than the machine holds.
    private func checkMemory(_ source: PictureSource, count: Int) throws {
        let needed = Double(source.width * source.height) * Double(4 + 3 * 12 + (output.contains("%") ? 6 : 9) * count)
        let memory = Double(AvailableMemory.total)
        guard needed <= memory else {
            throw CommandFailure(
                String(
                    format: "%d pictures of %d×%d pixels take more than %.0f GB, and there are %.0f GB of memory.",
                    count, source.width, source.height, needed / 1e9, memory / 1e9))
        }
    }

    /// The picture with the noise of each of the scheduler's steps `indices`.
    private func dissolved(
        _ picture: RGBImage, folder: ModelFolder, scheduler: DDPMScheduler, indices: some Sequence<Int>
    ) throws -> [RGBImage] {
        var generator = TorchGenerator(seed: seed?.value ?? 0)
        guard latent else {
            let original = try PixelConversion.pixels(from: [picture])
            let noise = generator.randn(count: original.count)
            return try indices.map { index in
                let noisy = try scheduler.addNoise(to: original, noise: noise, at: index)
                return try PixelConversion.images(from: noisy, width: picture.width, height: picture.height)[0]
            }
        }
        let codec = try LatentCodec(
            folder, threads: try threads.makePool(), savesMemory: memory.savesMemory, panelCache: try memory.panelCache(),
            limits: memory.limits)
        let factor = codec.spatialFactor
        func nearest(_ size: Int) -> Int { max((size + factor / 2) / factor, 1) * factor }
        let original = try codec.encode(
            picture.resized(width: nearest(picture.width), height: nearest(picture.height)))
        let noise = generator.randn(count: original.values.count)
        return try indices.map { index in
            let noisy = try scheduler.addNoise(to: original.values, noise: noise, at: index)
            return try codec.decode(Latents(noisy, shape: original.shape))
        }
    }

    /// Whole timesteps, descending.
    private func chosenTimesteps(_ settings: SchedulerSettings) throws -> [Int] {
        guard case .integer(let count)? = settings.values["num_train_timesteps"] else { return [] }
        if let timesteps {
            let whole = Set(timesteps.compactMap { Int(exactly: $0) }.filter { (0..<count).contains($0) })
            guard whole.count == timesteps.count else {
                throw CommandFailure("--timesteps must be different whole numbers from 0 to \(count - 1).")
            }
            return whole.sorted(by: >)
        }
        guard steps > 1 else { return [count - 1] }
        return Set((0..<steps).map { ($0 * (count - 1)) / (steps - 1) }).sorted(by: >)
    }
}
