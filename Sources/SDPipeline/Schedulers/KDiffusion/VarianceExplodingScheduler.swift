/// A scheduler whose samples are x = x_0 + σ ε, and whose model sees x / √(σ² + 1) (Karras et al. 2022, table 1, column VE with the
/// scaling of VP): those that come from k-diffusion.
public protocol VarianceExplodingScheduler: Scheduler {
    /// The noise level of the sample at each evaluation of the model, as many as `timesteps`.
    var evaluationSigmas: [Float] { get }
}

extension VarianceExplodingScheduler {
    public var noiseLevels: [NoiseLevel] { evaluationSigmas.map { NoiseLevel(ratio: $0) } }

    /// The sample over √(σ² + 1), on the variance-preserving scale that the model was trained on.
    public func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        let sigma = evaluationSigmas[index]
        let scale = (sigma * sigma + 1).squareRoot()
        return sample.map { $0 / scale }
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        try checkSameSize(original, noise)
        let sigma = sigmas[index]
        return combine(original, noise) { $0 + $1 * sigma }
    }

    /// Values of each step as the evaluations of schedulers with two evaluations a step see them: the first once, the others twice.
    static func doubled<Value>(_ values: some Collection<Value>) -> [Value] {
        values.prefix(1) + values.dropFirst().flatMap { [$0, $0] }
    }
}
