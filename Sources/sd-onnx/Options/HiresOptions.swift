import ArgumentParser
import Foundation
import SDPipeline

/// A second pass at a larger size.
struct HiresOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("hr-scale"), .customLong("hires-scale")], parsing: .unconditional,
        help:
            "Make the picture in two passes: the second enlarges it so many times and denoises it again. --width and --height are those of the first. (default: one pass)",
        transform: HiresOptions.scale)
    var hires: Double?

    @Option(
        parsing: .unconditional,
        help:
            "Width of the second pass in pixels, in the place of --hires; without --hires-height proportions are kept, with it the middle of what covers both.",
        transform: OptionValues.whole(1...PictureSizes.largest))
    var hiresWidth: Int?

    @Option(
        parsing: .unconditional, help: "Height of the second pass in pixels, in the place of --hires.",
        transform: OptionValues.whole(1...PictureSizes.largest))
    var hiresHeight: Int?

    @Option(
        parsing: .unconditional,
        help: "How much the second pass may change: the share of the schedule that it takes, 0 to 1. (default: 0.7)",
        transform: OptionValues.share)
    var hiresStrength: Double?

    @Option(
        parsing: .unconditional,
        help: "Steps that the second pass takes, as many as this whatever its strength; 0 for those of the first. (default: 0)",
        transform: OptionValues.whole(0...Int.max))
    var hiresSteps: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What enlarges: latent (also latent-antialiased, latent-bicubic, latent-bicubic-antialiased, latent-nearest, latent-nearest-exact), lanczos, nearest, or a super-resolution network as \"sd-onnx upscale\" takes it. (default: latent)",
            valueName: "NAME|MODEL.onnx"), transform: OptionValues.path)
    var hiresUpscaler: String?

    @Option(parsing: .unconditional, help: "Scheduler of the second pass, as --scheduler. (default: that of the first)")
    var hiresScheduler: String?

    @Option(parsing: .unconditional, help: "What the second pass shows. (default: what the first does)")
    var hiresPrompt: String?

    @Option(parsing: .unconditional, help: "What the second pass keeps away from. (default: what the first does)")
    var hiresNegativePrompt: String?

    @Option(
        parsing: .unconditional, help: "Guidance scale of the second pass. (default: that of the first)",
        transform: OptionValues.number)
    var hiresCfgScale: Double?

    /// Whether a second pass is asked for.
    var isAsked: Bool { hires != nil || hiresWidth != nil || hiresHeight != nil }

    private static func scale(_ text: String) throws -> Double {
        guard let scale = Double(text), (1...SecondPass.largestScale).contains(scale) else {
            throw OptionValues.Expectation(description: "expected a number from 1 to \(Int(SecondPass.largestScale)).")
        }
        return scale
    }

    /// What the options say of each other; with `--from` together with those that the picture stands for.
    func check() throws {
        let needing = [
            ("--hires-strength", hiresStrength != nil), ("--hires-steps", hiresSteps != nil),
            ("--hires-upscaler", hiresUpscaler != nil), ("--hires-scheduler", hiresScheduler != nil),
            ("--hires-prompt", hiresPrompt != nil), ("--hires-negative-prompt", hiresNegativePrompt != nil),
            ("--hires-cfg-scale", hiresCfgScale != nil),
        ]
        if hires != nil, hiresWidth != nil || hiresHeight != nil {
            throw ValidationError(
                "--hires and \(hiresWidth == nil ? "--hires-height" : "--hires-width") both say how large the picture becomes: give one."
            )
        }
        if let hiresScheduler { try SchedulerOptions.check(name: hiresScheduler) }
        if !isAsked, let (name, _) = needing.first(where: { $0.1 }) {
            throw ValidationError("\(name) is for a second pass: --hires SCALE asks for one.")
        }
        if let hiresUpscaler, Self.upscaler(hiresUpscaler) == nil, !hiresUpscaler.contains("/"), !hiresUpscaler.contains(".") {
            let known = LatentUpscaling.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError(
                "--hires-upscaler is \"\(hiresUpscaler)\", expected one of \(known), lanczos, nearest, or a network's file such as esrgan.onnx."
            )
        }
    }

    /// Nil for a network.
    private static func upscaler(_ name: String) -> SecondPass.Upscaler? {
        if name == "lanczos" { return .lanczos }
        if name == "nearest" { return .nearest }
        return LatentUpscaling(rawValue: name).map { .latent($0) }
    }

    /// The second pass; nil for none.
    var secondPass: SecondPass? {
        guard isAsked else { return nil }
        let name = hiresUpscaler ?? LatentUpscaling.bilinear.rawValue
        var pass = SecondPass(
            scale: hires ?? SecondPass().scale, strength: hiresStrength ?? SecondPass().strength,
            steps: hiresSteps == 0 ? nil : hiresSteps, upscaler: Self.upscaler(name) ?? .network(URL(fileURLWithPath: name)))
        (pass.width, pass.height) = (hiresWidth, hiresHeight)
        (pass.scheduler, pass.guidanceScale) = (hiresScheduler, hiresCfgScale)
        (pass.prompt, pass.negativePrompt) = (hiresPrompt, hiresNegativePrompt)
        return pass
    }
}
