import ArgumentParser
import Foundation
import SDPipeline

struct MetadataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metadata", abstract: "Says how a picture was made, by what its file holds.",
        discussion: """
            PNG and JPEG files of sd-onnx, AUTOMATIC1111's web interface and programs that write the same text, ComfyUI, NovelAI and \
            InvokeAI are understood. "sd-onnx generate --from FILE" makes the picture again.

            EXAMPLES:
              sd-onnx metadata fox.png
              sd-onnx metadata --json fox.png | jq .settings.prompt
            """, aliases: ["png-info"])

    @Argument(help: ArgumentHelp("The picture.", valueName: "file"), transform: OptionValues.path)
    var file: String

    @Flag(help: "Print a JSON object with the settings and with all texts of the file.")
    var json = false

    private struct Answer: Encodable {
        let source: PictureMetadata.Source
        let program: String?
        let settings: PictureSettings
        let record: GenerationRecord?
        let texts: [String: String]
    }

    func run() throws {
        let metadata = try ReplayedPicture(file).metadata
        if json {
            let texts = Dictionary(metadata.texts.map { ($0.key, $0.text) }, uniquingKeysWith: { first, _ in first })
            return try StandardStreams.printJSON(
                Answer(
                    source: metadata.source, program: metadata.program, settings: metadata.settings, record: metadata.record,
                    texts: texts))
        }
        try StandardStreams.printOutput(MetadataReport.lines(metadata).joined(separator: "\n"))
    }
}
