import ArgumentParser
import SDPipeline

/// How prompts are read.
struct PromptSyntaxOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How prompts are read: a1111 by the grammar of AUTOMATIC1111's web interface, such as (fox:1.2) and [fox:owl:0.5], long ones in chunks; plain literally; auto by the grammar where one of them has its syntax. (default: auto)",
            valueName: "a1111|plain|auto"), transform: OptionValues.choice)
    var promptSyntax = PromptSyntax.automatic
}

/// How prompts are read and encoded.
struct PromptOptions: ParsableArguments {
    @OptionGroup var syntax: PromptSyntaxOptions

    @Option(
        parsing: .unconditional,
        help:
            "Whose layer's states of the text encoder are taken, counted from the last: 1 is the last, 2 the one before. (default: the model's)",
        transform: OptionValues.whole(1...1000))
    var clipSkip: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Mix the states of this prompt into those of the other. Needs --blend-share.", valueName: "PROMPT"))
    var blendPrompt: String?

    @Option(
        parsing: .unconditional, help: "With --blend-prompt, how much of it, 0 to 1.", transform: OptionValues.share)
    var blendShare: Double?

    func validate() throws {
        guard (blendPrompt == nil) == (blendShare == nil) else {
            throw ValidationError("--blend-prompt and --blend-share have no effect without each other: give both.")
        }
    }

    func fill(_ request: inout GenerationRequest) {
        if let blendPrompt, let blendShare { request.promptBlend = PromptBlend(prompt: blendPrompt, share: blendShare) }
        request.promptSyntax = syntax.promptSyntax
        request.clipSkip = clipSkip
    }
}
