import ArgumentParser
import Foundation
import SDPipeline

struct UpscaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upscale", abstract: "Makes a picture larger, by a super-resolution network.",
        discussion: """
            The network has one input, pictures of three channels (red, green and blue) or one (the luminance), and answers a picture that \
            is a whole number of times larger.

            EXAMPLES:
              sd-onnx upscale fox.png --model realesrgan-x4.onnx -o large.png
              sd-onnx upscale photo.jpg --model realesrgan-x4.onnx --scale 2 --tile 128 --tile-overlap 24
            """)

    @Argument(help: ArgumentHelp("The picture, PNG or JPEG.", valueName: "image"), transform: OptionValues.path)
    var image: String

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: ArgumentHelp("The network: its graph, or a folder with it as model.onnx.", valueName: "MODEL.onnx"),
        transform: OptionValues.path)
    var model: String

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: ArgumentHelp("The PNG file to write; - is standard output. (default: upscaled.png)", valueName: "FILE.png"),
        transform: OptionValues.path)
    var output = "upscaled.png"

    @Option(
        parsing: .unconditional,
        help:
            "How many times wider and higher the result is: the network enlarges until it is as large, up to three times, and Lanczos' filter does the rest. (default: the network's)",
        transform: UpscaleCommand.factor)
    var scale: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Pixels along each side of what the network sees at once; 0 for the whole picture. (default: 256)",
            valueName: "PIXELS"),
        transform: OptionValues.whole(0...PictureTiling.largestSide))
    var tile = PictureTiling().side ?? 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Pixels around the part of a tile that is kept, where the picture goes on. (default: 16)", valueName: "PIXELS"),
        transform: OptionValues.whole(0...PictureTiling.largestSide / 2))
    var tileOverlap = PictureTiling().overlap

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What white is for the network; inputs of bytes say it themselves. (default: 1)", valueName: "1|255"),
        transform: OptionValues.choice)
    var white = SuperResolutionNetwork.ValueRange.unit

    @OptionGroup var limit: PixelLimitOptions

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: LimitOptions

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    private static func factor(_ text: String) throws -> Double {
        guard let factor = Double(text), factor > 0, factor <= 64 else {
            throw OptionValues.Expectation(description: "expected a number above 0, up to 64.")
        }
        return factor
    }

    func validate() throws {
        if output.isEmpty { throw ValidationError("--output is empty, expected a file's name.") }
        if output != "-" { try OutputFormat.png.check(output, option: "--output") }
        if output == "-", isatty(STDOUT_FILENO) == 1 {
            throw ValidationError("-o - would write a PNG to the terminal: redirect it.")
        }
    }

    func run() throws {
        let file = output == "-" ? nil : URL(fileURLWithPath: output)
        try AtomicFile.check([file].compactMap { $0 })
        let source = try PictureSource(contentsOf: URL(fileURLWithPath: image), pixelLimit: limit.maxPixels)
        let network = try SuperResolutionNetwork(
            contentsOf: URL(fileURLWithPath: model), range: white, threads: try threads.makePool(), limits: memory.limits)
        let (picture, opacity) = try source.decodedWithOpacity()
        let tiling = PictureTiling(side: tile == 0 ? nil : tile, overlap: tileOverlap)
        var bar = ProgressBar(title: "Tiles", unit: "tile", isSilent: quiet)
        let result: RGBImage
        if let scale {
            func extent(_ value: Int) -> Int { max(Int((Double(value) * scale).rounded()), 1) }
            result = try network.enlarged(picture, width: extent(picture.width), height: extent(picture.height), tiling: tiling)
            {
                bar.update(completed: $0, total: $1)
            }
        } else {
            result = try network.enlarged(picture, tiling: tiling) { bar.update(completed: $0, total: $1) }
        }
        let bytes = try PNGFile.encode(
            result,
            opacity: opacity.map {
                try PictureMask(width: picture.width, height: picture.height, values: $0)
                    .resized(width: result.width, height: result.height).values
            })
        guard let file else { return try StandardStreams.writeOutput(bytes) }
        try Interruption.whileWriting { try AtomicFile.write(bytes, to: file) }
        if !quiet {
            StandardStreams.printError(
                "\(file.path): \(picture.width)×\(picture.height) became \(result.width)×\(result.height) pixels.")
        }
    }
}
