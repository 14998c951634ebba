/// How an ancestral step from one noise level to a lower one is shared between a deterministic step and new noise, so that
/// down² + up² = to² (Song et al. 2020, equation 47 in the form of k-diffusion's ancestral samplers).
struct AncestralStep {
    /// The level that the deterministic step goes down to.
    let down: Float
    /// The deviation of the noise that is added.
    let up: Float

    init(from: Float, to: Float) {
        up = (to * to * (from * from - to * to) / (from * from)).squareRoot()
        down = (to * to - up * up).squareRoot()
    }

    static func tooLong(_ scheduler: String) -> SchedulerError {
        .invalidSchedule(
            scheduler: scheduler,
            reason: "a step between two noise levels is too long for single precision, more steps are needed")
    }

    /// The steps between noise levels.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` where one is so long that single precision leaves no part
    ///   for the deterministic step.
    static func steps(_ levels: some Collection<Float>, scheduler: String) throws -> [AncestralStep] {
        let steps = zip(levels, levels.dropFirst()).map { AncestralStep(from: $0, to: $1) }
        guard !steps.contains(where: \.down.isNaN) else { throw tooLong(scheduler) }
        return steps
    }
}
