/// What one prediction of the U-Net is conditioned on.
struct Conditioning: Sendable {
    let states: PromptStates
    /// What a family's U-Net takes besides: a row of numbers for each input, by the input's name.
    var added: [String: [Float]] = [:]
}
