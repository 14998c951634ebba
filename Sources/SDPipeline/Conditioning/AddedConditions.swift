/// What a family's U-Net takes besides the prompts' states.
protocol AddedConditions: Sendable {
    /// The U-Net's inputs.
    var inputNames: [String] { get }

    /// A row of numbers for each of the inputs.
    ///
    /// - Parameters:
    ///   - states: of the prompt, or of the negative prompt.
    ///   - isNegative: which of the two.
    /// - Throws: ``PipelineError`` where the graphs don't fit together.
    func values(_ plan: GenerationPlan, states: PromptStates, isNegative: Bool) throws -> [String: [Float]]
}
