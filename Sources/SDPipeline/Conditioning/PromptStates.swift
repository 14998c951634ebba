/// What text encoders make of one prompt.
struct PromptStates: Sendable, Equatable {
    /// States that the U-Net attends to, [tokenCount, width] row-major.
    var values: [Float]
    let tokenCount: Int
    /// Of one state.
    let width: Int
}
