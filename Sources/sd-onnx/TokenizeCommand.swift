import ArgumentParser
import Foundation
import SDPipeline

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Prints the token ids of a text, as the text encoder gets them.")

    @OptionGroup var model: ModelOptions

    @Argument(help: "The text.")
    var text: String

    @Flag(help: "Fill up to the text encoder's length with the padding token.")
    var pad = false

    @Flag(help: "Print a JSON object with ids, tokens and lengths.")
    var json = false

    private struct Answer: Encodable {
        let ids: [Int]
        let tokens: [String]
        let limit: Int?
    }

    func run() throws {
        let folder = try ModelFolder(try model.url())
        let tokenizer = try CLIPTokenizer(folder: folder.url.appendingPathComponent("tokenizer"))
        let ids =
            if pad, let limit = tokenizer.maximumLength {
                tokenizer.encode(text, paddedTo: limit).ids
            } else {
                tokenizer.encode(text)
            }
        if json {
            try StandardStreams.printJSON(Answer(ids: ids, tokens: tokenizer.tokenize(text), limit: tokenizer.maximumLength))
        } else {
            print(ids.map(String.init).joined(separator: " "))
        }
    }
}
