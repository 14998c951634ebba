/// Noise added back before a step: the first half of algorithm 2 of Karras et al. 2022.
struct Churn {
    let options: SchedulerStepOptions
    /// The number of steps that S_churn is spread over.
    let stepCount: Int

    /// Raises a sample's noise level.
    /// - Parameters:
    ///   - sample: on the variance-exploding scale.
    ///   - sigma: its noise level.
    ///   - draw: gives a standard normal draw of the sample's size; called only where noise is added.
    /// - Returns: the sample with more noise, and its noise level.
    func raised(
        _ sample: [Float], sigma: Float, draw: () throws -> [Float]
    ) rethrows -> (sample: [Float], sigma: Float) {
        let isChurned = Float(options.churnMinimumSigma) <= sigma && sigma <= Float(options.churnMaximumSigma)
        let gamma = isChurned ? min(options.churn / Double(stepCount), 2.0.squareRoot() - 1) : 0
        let raised = sigma * Float(gamma + 1)
        guard gamma > 0 else { return (sample, raised) }
        let scale = Float(options.noiseScale)
        let spread = (raised * raised - sigma * sigma).squareRoot()
        return (combine(sample, try draw()) { $0 + ($1 * scale) * spread }, raised)
    }
}
