import ArgumentParser
import Foundation
import SDPipeline

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Prints the token ids of a text.",
        discussion: """
            The ids are those that the text encoder gets, start and end included, before they are cut to its length.

            EXAMPLE:
              sd-onnx tokenize --model stable-diffusion-onnx "a red fox"
            """)

    @OptionGroup var model: ModelOptions

    @OptionGroup var tokenizer: TokenizerOptions

    @Argument(help: "The text.")
    var text: String

    @Flag(help: "Cut or fill up to the text encoder's length, as for a picture.")
    var pad = false

    @Flag(help: "Print a JSON object with ids, tokens and the text encoder's length.")
    var json = false

    private struct Answer: Encodable {
        let ids: [Int]
        let tokens: [String]
        let limit: Int?
    }

    func run() throws {
        let folder = try model.folder()
        // Refiners of SDXL have the second alone.
        let second = try? folder.tokenizer("tokenizer_2")
        let files = try (try? folder.tokenizer()) ?? second ?? folder.tokenizer()
        let tokenizer = try CLIPTokenizer(folder: files, convention: tokenizer.convention)
        let ids: [Int]
        if pad {
            guard let limit = tokenizer.maximumLength else {
                throw CommandFailure(
                    "\(files.path) states no length (model_max_length) that --pad could fill up to.")
            }
            ids = tokenizer.encode(text, paddedTo: limit).ids
        } else {
            ids = tokenizer.encode(text)
        }
        if json {
            try StandardStreams.printJSON(Answer(ids: ids, tokens: tokenizer.tokenize(text), limit: tokenizer.maximumLength))
        } else {
            try StandardStreams.printOutput(ids.map(String.init).joined(separator: " "))
        }
    }
}
