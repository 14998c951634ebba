/// Another prompt that a picture is made of besides its own: the text encoders' states of both are mixed, number by number.
public struct PromptBlend: Sendable, Equatable, Codable {
    /// The other prompt: one text, without `AND`, editing and alternation.
    public var prompt: String
    /// How much of it: 0 for the request's own prompt alone, 1 for this one.
    public var share: Double

    /// A prompt to mix in, which is checked when it is used.
    public init(prompt: String, share: Double) {
        self.prompt = prompt
        self.share = share
    }
}
