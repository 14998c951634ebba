import ArgumentParser
import Foundation
import SDPipeline

/// The picture in the making, while it is made.
struct LivePreviewOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the picture in the making to this file, again and again.", valueName: "FILE.png"),
        transform: OptionValues.path)
    var preview: String?

    @Flag(help: "Show the picture in the making in the terminal (Kitty, iTerm2, sixel; half blocks elsewhere).")
    var previewTerminal = false

    @Option(
        parsing: .unconditional,
        help: "With --preview or --preview-terminal, every so many evaluations of the U-Net. (default: 1)",
        transform: OptionValues.whole(1...Int.max))
    var previewEvery: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --preview or --preview-terminal, through the vae, a fast linear map of the latents, fitted to it, or a small decoder's export (AutoencoderTiny): its folder or .onnx file. (default: linear)",
            valueName: "vae|linear|FILE"),
        transform: previewMethod)
    var previewWith: LivePreview.Method?

    func validate() throws {
        if preview == "" || preview == "-" {
            throw ValidationError("--preview is \(preview == "-" ? "-" : "empty"), expected a file's name.")
        }
        try OutputFormat.png.check(preview, option: "--preview")
        if !isUsed {
            for (name, isGiven) in [("--preview-every", previewEvery != nil), ("--preview-with", previewWith != nil)]
            where isGiven {
                throw ValidationError("\(name) needs --preview or --preview-terminal.")
            }
        }
        if previewTerminal, !StandardStreams.isErrorTerminal {
            throw ValidationError("--preview-terminal needs a terminal as standard error: use --preview FILE.png.")
        }
    }

    var isUsed: Bool { preview != nil || previewTerminal }

    var request: LivePreview? {
        isUsed ? LivePreview(interval: previewEvery ?? 1, method: previewWith ?? .linear) : nil
    }
}

/// A name of ``LivePreview/Method``, or a file.
private func previewMethod(_ text: String) throws -> LivePreview.Method {
    switch text {
    case "vae": return .vae
    case "linear": return .linear
    default:
        let path = try OptionValues.path(text)
        guard !path.isEmpty, FileManager.default.fileExists(atPath: path) else {
            throw OptionValues.Expectation(
                description: "expected one of vae, linear, or a decoder's folder or file, which must exist.")
        }
        return .decoder(URL(fileURLWithPath: path))
    }
}
