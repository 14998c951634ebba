import GraphRuntime

/// What the deep part of a U-Net made at an evaluation, for those that follow, see ``StepCaching/Deep``.
struct DeepFeatures: Sendable {
    /// Computed in one of so many evaluations that aren't left out.
    let interval: Int
    /// The evaluation from which on this is so: all before it are computed in full.
    let firstIndex: Int
    private var kept: (ordinal: Int, tensor: Tensor)?

    init(interval: Int, firstIndex: Int) {
        self.interval = interval
        self.firstIndex = firstIndex
    }

    /// The features for an evaluation; nil where they are to be computed.
    func tensor(at evaluation: Evaluation) -> Tensor? {
        guard let kept, evaluation.index > firstIndex, (evaluation.ordinal - firstIndex) % interval != 0,
            evaluation.ordinal - kept.ordinal < interval
        else {
            return nil
        }
        return kept.tensor
    }

    mutating func keep(_ tensor: Tensor, at evaluation: Evaluation) { kept = (evaluation.ordinal, tensor) }

    /// The next evaluation computes them.
    mutating func drop() { kept = nil }
}
