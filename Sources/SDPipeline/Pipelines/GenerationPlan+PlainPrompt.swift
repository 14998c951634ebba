extension GenerationPlan {
    /// What the prompt says, without its grammar and its tags: of prompts that change over the steps the last text, and those that `AND`
    /// combines one after the other.
    ///
    /// - Throws: ``PipelineError`` for a prompt that can't be read, which none is that a plan was made of.
    public var plainPrompt: String {
        get throws {
            let (prompt, _) = try configuration.adapters.read(request)
            guard promptSyntax == .a1111 else { return prompt }
            let texts = try ParsedPrompt(prompt, steps: max(stepCount, 1)).parts.compactMap { part in
                part.stages.last.map { $0.pieces.map { $0.isBreak ? " " : $0.text }.joined() }
            }
            return texts.joined(separator: ", ")
        }
    }
}
