import ArgumentParser
import Foundation
import ONNXLoader
import SDPipeline

/// What a run starts from, where that isn't the seed's noise alone.
struct StartOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Start from these latents, [N, C, h, w] of standard normal noise, instead of the seed's.", valueName: "FILE.npy"),
        transform: OptionValues.path)
    var initLatents: String?

    @Option(
        name: [.customShort("i"), .long, .customLong("init-image"), .customLong("image")], parsing: .unconditional,
        help: ArgumentHelp(
            "Start from this picture instead of noise; it is resized to the size that is made, by default the nearest to its own. PNG or JPEG.",
            valueName: "FILE"), transform: OptionValues.path)
    var initImg: String?

    @Option(
        name: [.long, .customLong("denoising-strength"), .customLong("denoise")], parsing: .unconditional,
        help:
            "With --init-img, the share of the steps to take, 0 to 1: how much of the picture may change. (default: 0.8; of SDXL's refiner 0.3, of models made for inpainting 1)",
        transform: OptionValues.share)
    var strength: Double?

    @Option(
        name: [.long, .customLong("resize-mode")], parsing: .unconditional,
        help: ArgumentHelp(
            "With --init-img, what becomes of other proportions: fit shows all of it, fill covers the size, stretch distorts, latent distorts its latents. (default: stretch)",
            valueName: "fit|fill|stretch|latent"), transform: OptionValues.choice)
    var resize: ResizeMode?

    @OptionGroup var masking: MaskOptions

    @OptionGroup var limit: PixelLimitOptions

    /// What the options say of each other; with `--from` together with those that the picture stands for.
    func check() throws {
        try masking.check(hasPicture: initImg != nil)
        if resize != nil, masking.onlyMasked != nil {
            throw ValidationError(
                "--only-masked makes all of the mask's surroundings: --resize has no effect on them, give one.")
        }
        if resize != nil, initImg == nil { throw ValidationError("--resize needs a picture to start from: --init-img.") }
        if strength != nil, initImg == nil { throw ValidationError("--strength needs a picture to start from: --init-img.") }
    }

    /// The picture to start from, of which nothing is decoded so far.
    func picture() throws -> PictureSource? {
        try initImg.map { try PictureSource(contentsOf: URL(fileURLWithPath: $0), pixelLimit: limit.maxPixels) }
    }

    /// Adds what is known before the picture is decoded.
    func prepare(_ request: inout GenerationRequest) throws {
        request.strength = strength
        request.resizeMode = resize ?? request.resizeMode
        try masking.fill(&request, limit: limit)
    }

    /// Completes plans of one size with what the files hold.
    func fill(_ plans: inout [GenerationPlan], picture: PictureSource?) throws {
        if let initLatents {
            let (latents, file) = try Self.latents(initLatents)
            for index in plans.indices {
                guard latents.shape == plans[index].latentShape else {
                    throw CommandFailure("\(initLatents) has shape \(latents.shape), expected \(plans[index].latentShape).")
                }
                try plans[index].setInitialLatents(latents, file: file)
            }
        }
        if let picture {
            let image = try picture.decoded()
            let file = InputFiles.File(path: picture.path, bytes: picture.bytes)
            for index in plans.indices { try plans[index].setInitialImage(image, file: file) }
        }
    }

    /// The most bytes of a file of noise: more than 100,000 latents of 512×512 pictures.
    private static let mostBytes = 1 << 33

    private static func latents(_ path: String) throws -> (Latents, InputFiles.File) {
        do {
            let bytes = try BoundedFile.read(URL(fileURLWithPath: path), limit: mostBytes, takesPipes: true)
            let array = try NPYArray(bytes: bytes)
            let values = try array.floats()
            guard values.allSatisfy(\.isFinite) else { throw CommandFailure("\(path) has values that aren't finite numbers.") }
            guard array.shape.count == 4, array.shape.allSatisfy({ $0 > 0 }) else {
                throw CommandFailure("\(path) has shape \(array.shape), expected [pictures, channels, height, width].")
            }
            return (try Latents(values, shape: array.shape), InputFiles.File(path: path, bytes: bytes))
        } catch let error as NPYError {
            throw CommandFailure("\(path) can't be used: \(error.reason).")
        } catch let error as BoundedFile.ReadError {
            throw CommandFailure("\(path) can't be read: \(error.reason).")
        }
    }
}

/// How large a picture may be that is read.
struct PixelLimitOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "The most pixels of a picture that is read, by its header. (default: \(PNGFile.defaultPixelLimit))",
        transform: OptionValues.whole(1...Int(Int32.max)))
    var maxPixels = PNGFile.defaultPixelLimit
}
