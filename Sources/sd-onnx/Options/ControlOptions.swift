import ArgumentParser
import Foundation
import SDPipeline

/// What takes part in the U-Net's prediction: ControlNets with their pictures, and FreeU.
struct ControlOptions: ParsableArguments {
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A ControlNet: its graph, or a folder with it as model.onnx. Several may be given; the first goes with the first --control-image, and so on. (default: the model's own)",
            valueName: "FILE.onnx|DIR"), transform: OptionValues.path)
    var control: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "What a ControlNet sees, PNG or JPEG, one for each --control; resized to the size that is made, by default the nearest to the first one's.",
            valueName: "FILE"), transform: OptionValues.path)
    var controlImage: [String] = []

    @Option(
        name: [.long, .customLong("controlnet-conditioning-scale")], parsing: .unconditionalSingleValue,
        help:
            "How much a ControlNet counts: once for all, or once for each --control-image, as with those that follow. (default: 1)",
        transform: OptionValues.number)
    var controlStrength: [Double] = []

    @Option(
        name: [.long, .customLong("control-guidance-start")], parsing: .unconditionalSingleValue,
        help: "The share of the run before which a ControlNet takes no part, 0 to 1. (default: 0)",
        transform: OptionValues.share)
    var controlStart: [Double] = []

    @Option(
        name: [.long, .customLong("control-guidance-end")], parsing: .unconditionalSingleValue,
        help: "The share of the run after which a ControlNet takes no part, 0 to 1. (default: 1)",
        transform: OptionValues.share)
    var controlEnd: [Double] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "What becomes of a control picture before the ControlNet sees it: canny finds its edges, with thresholds of the gradient. (default: none; of canny 100,200)",
            valueName: "none|canny|canny:LOW,HIGH"), transform: OptionValues.preprocessing)
    var controlPreprocess: [ControlPreprocessing] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "What becomes of other proportions of a control picture: fit shows all of it, fill covers the size, stretch distorts. (default: stretch)",
            valueName: "fit|fill|stretch"), transform: OptionValues.choice)
    var controlResize: [ResizeMode] = []

    @Flag(
        name: [.long, .customLong("guess-mode")],
        help:
            "Let ControlNets change the prompt's prediction alone, and less where there are more pixels: for prompts that say little."
    )
    var controlGuess = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "FreeU's factors, which make pictures of the same model clearer: for SD 1.x 1.5,1.6,0.9,0.2, for 2.x 1.4,1.6,0.9,0.2, for SDXL 1.3,1.4,0.9,0.2.",
            valueName: "B1,B2,S1,S2"), transform: OptionValues.freeU)
    var freeu: FreeU?

    /// What the options say of each other; with `--from` together with those that the picture stands for.
    func check() throws {
        let count = controlImage.count
        if count == 0 {
            let needing = [
                ("--control", !control.isEmpty), ("--control-strength", !controlStrength.isEmpty),
                ("--control-start", !controlStart.isEmpty), ("--control-end", !controlEnd.isEmpty),
                ("--control-preprocess", !controlPreprocess.isEmpty), ("--control-resize", !controlResize.isEmpty),
                ("--control-guess", controlGuess),
            ]
            if let (name, _) = needing.first(where: { $0.1 }) {
                throw ValidationError("\(name) needs a picture that the ControlNet sees: --control-image.")
            }
            return
        }
        if !control.isEmpty, control.count != count {
            throw ValidationError(
                "There are \(control.count) of --control and \(count) of --control-image: give a picture for each ControlNet, in the same order."
            )
        }
        let counts = [
            ("--control-strength", controlStrength.count), ("--control-start", controlStart.count),
            ("--control-end", controlEnd.count), ("--control-preprocess", controlPreprocess.count),
            ("--control-resize", controlResize.count),
        ]
        if let (name, given) = counts.first(where: { ![0, 1, count].contains($0.1) }) {
            throw ValidationError(
                "There are \(given) of \(name) and \(count) of --control-image: give it once for all, or once for each picture, in the same order."
            )
        }
        for index in 0..<count {
            let (start, end) = (value(controlStart, index) ?? 0, value(controlEnd, index) ?? 1)
            guard start < end else {
                throw ValidationError("--control-start is \(start) and --control-end \(end), expected a start below the end.")
            }
        }
    }

    private func value<Value>(_ list: [Value], _ index: Int) -> Value? {
        list.count == 1 ? list[0] : list.isEmpty ? nil : list[index]
    }

    /// Adds what was asked for to a request.
    func fill(_ request: inout GenerationRequest, limit: PixelLimitOptions) throws {
        request.freeU = freeu
        request.controls = try controlImage.enumerated().map { index, path in
            let source = try PictureSource(contentsOf: URL(fileURLWithPath: path), pixelLimit: limit.maxPixels)
            return Control(
                network: control.isEmpty ? nil : URL(fileURLWithPath: control[index]), image: try source.decoded(),
                resizeMode: value(controlResize, index) ?? .stretch, preprocessing: value(controlPreprocess, index) ?? .none,
                strength: value(controlStrength, index) ?? 1, start: value(controlStart, index) ?? 0,
                end: value(controlEnd, index) ?? 1, guesses: controlGuess,
                file: InputFiles.File(path: path, bytes: source.bytes))
        }
    }
}

extension OptionValues {
    /// `none`, `canny` or `canny:100,200`.
    static func preprocessing(_ text: String) throws -> ControlPreprocessing {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        switch (parts[0], parts.count) {
        case ("none", 1): return .none
        case ("canny", 1): return .standardCanny
        case ("canny", 2):
            if let limits = try? numbers(String(parts[1])), limits.count == 2, limits[0] >= 0, limits[0] <= limits[1] {
                return .canny(low: limits[0], high: limits[1])
            }
            fallthrough
        default:
            throw Expectation(
                description: "expected none, canny, or canny with two thresholds, the lower first, such as canny:100,200.")
        }
    }

    /// Four factors with commas between them.
    static func freeU(_ text: String) throws -> FreeU {
        guard let values = try? numbers(text), values.count == 4,
            values.allSatisfy({ $0 > 0 && Float($0).isFinite && Float($0) > 0 })
        else { throw Expectation(description: "expected four numbers above 0, b1, b2, s1 and s2, such as 1.5,1.6,0.9,0.2.") }
        return FreeU(b1: values[0], b2: values[1], s1: values[2], s2: values[3])
    }
}
