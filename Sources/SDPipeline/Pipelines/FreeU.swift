/// FreeU (Si et al. 2024): factors for the first two blocks on the U-Net's way up, which make pictures of the same model clearer without another
/// network. The factors that its authors give: Stable Diffusion 1.x 1.5, 1.6, 0.9, 0.2; 2.x 1.4, 1.6, 0.9, 0.2; XL 1.3, 1.4, 0.9, 0.2.
public struct FreeU: Sendable, Equatable, Codable {
    /// What the first half of the hidden states' channels is multiplied by in the first block; above 0.
    public var b1: Double
    /// The same in the second block.
    public var b2: Double
    /// What the lowest frequencies of the skip connections are multiplied by in the first block; above 0.
    public var s1: Double
    /// The same in the second block.
    public var s2: Double

    /// Factors; each parameter is the property of its name.
    public init(b1: Double, b2: Double, s1: Double, s2: Double) {
        self.b1 = b1
        self.b2 = b2
        self.s1 = s1
        self.s2 = s2
    }

    /// In the order b1, b2, s1, s2.
    var values: [Float] { [b1, b2, s1, s2].map { Float($0) } }

    /// - Throws: ``PipelineError`` for a factor that isn't a finite number above 0.
    func check() throws {
        guard values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw PipelineError(
                "The factors of FreeU are \([b1, b2, s1, s2].map { "\($0)" }.joined(separator: ", ")), expected four numbers above 0.",
                kind: .invalidRequest)
        }
    }
}
