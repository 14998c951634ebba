import ArgumentParser
import Foundation
import SDPipeline

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Prints the token ids of a text, or how a prompt is read.",
        discussion: """
            The ids are those that the text encoder gets, start and end included, before they are cut to its length. With --prompt the \
            text is read as "generate" reads a prompt: over the steps, with weights, in chunks.

            EXAMPLES:
              sd-onnx tokenize --model stable-diffusion-onnx "a red fox"
              sd-onnx tokenize --prompt "a [fox:(owl:1.2):0.5]" --steps 20
            """)

    @OptionGroup var model: ModelOptions

    @OptionGroup var tokenizer: TokenizerOptions

    @Argument(help: "The text.")
    var text: String

    @Flag(help: "Cut or fill up to the text encoder's length, as for a picture.")
    var pad = false

    @Flag(help: "Read the text as a prompt: its chunks, tokens and weights, and when they change over the steps.")
    var prompt = false

    @Flag(help: "With --prompt, read it as a negative prompt, which knows no AND.")
    var negative = false

    @OptionGroup var syntax: PromptSyntaxOptions

    @OptionGroup var learned: EmbeddingOptions

    @Option(
        parsing: .unconditional, help: "With --prompt, steps of the scheduler. (default: 20)",
        transform: OptionValues.whole(1...100_000))
    var steps: Int?

    @Flag(help: "Print a JSON object with ids, tokens and the text encoder's length.")
    var json = false

    private struct Answer: Encodable {
        let ids: [Int]
        let tokens: [String]
        let limit: Int?
    }

    func validate() throws {
        if prompt, pad { throw ValidationError("--pad and --prompt both say how the text is read: choose one.") }
        if !prompt, negative || steps != nil || syntax.promptSyntax != .automatic || !learned.embedding.isEmpty {
            throw ValidationError("--negative, --steps, --prompt-syntax and --embedding need --prompt.")
        }
    }

    func run() throws {
        if prompt { return try printPrompt() }
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

    private func printPrompt() throws {
        let reading = try PipelineConfiguration(
            modelFolder: model.url, tokenizer: tokenizer.convention, embeddings: learned.embeddings()
        ).reading(
            of: text, syntax: syntax.promptSyntax, steps: steps ?? 20, isNegative: negative)
        if json {
            try StandardStreams.printJSON(reading)
        } else {
            try StandardStreams.printOutput(PromptReport.lines(reading).joined(separator: "\n"))
        }
    }
}
