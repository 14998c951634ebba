import ArgumentParser
import Foundation
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
        help: "With --init-img, the share of the steps to take, 0 to 1: how much of the picture may change. (default: 0.8)",
        transform: OptionValues.share)
    var strength: Double?

    @OptionGroup var limit: PixelLimitOptions

    func validate() throws {
        if strength != nil, initImg == nil { throw ValidationError("--strength needs a picture to start from: --init-img.") }
    }

    /// The picture to start from, of which nothing is decoded so far.
    func picture() throws -> PictureSource? {
        try initImg.map { try PictureSource(contentsOf: URL(fileURLWithPath: $0), pixelLimit: limit.maxPixels) }
    }

    /// Completes a request that has been checked with what the files hold.
    ///
    /// - Parameter shape: the latents' shape.
    func fill(_ request: inout GenerationRequest, picture: PictureSource?, shape: [Int]) throws {
        if let initLatents {
            let file = try LatentsFile(initLatents, shape: shape)
            request.initialLatents = file.values
            request.inputFiles.initialLatents = InputFiles.File(path: initLatents, bytes: file.bytes)
        }
        if let picture {
            request.initialImage = try picture.decoded()
            request.inputFiles.initialImage = InputFiles.File(path: picture.path, bytes: picture.bytes)
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

/// Noise that a run is given as a file.
private struct LatentsFile {
    let bytes: [UInt8]
    let values: [Float]

    init(_ path: String, shape: [Int]) throws {
        guard let content = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw CommandFailure("\(path) can't be read.")
        }
        bytes = [UInt8](content)
        do {
            let array = try NPYArray(bytes: bytes)
            guard array.shape == shape else { throw CommandFailure("\(path) has shape \(array.shape), expected \(shape).") }
            values = try array.floats()
        } catch let error as NPYError {
            throw CommandFailure("\(path) can't be used: \(error.reason).")
        }
        guard values.allSatisfy(\.isFinite) else { throw CommandFailure("\(path) has values that aren't finite numbers.") }
    }
}
