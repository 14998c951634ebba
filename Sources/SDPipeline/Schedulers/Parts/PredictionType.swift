/// What a model was trained to predict.
public enum PredictionType: String, Sendable, CaseIterable {
    /// The noise ε (Ho et al. 2020).
    case epsilon
    /// The original sample x_0.
    case sample
    /// Euler's older name for `sample`.
    case originalSample = "original_sample"
    /// The velocity v = √ᾱ ε − √(1 − ᾱ) x_0 (Salimans and Ho 2022, section 2.4 of Imagen Video).
    case vPrediction = "v_prediction"
    /// The direction of a straight path, ε − x_0 (Lipman et al. 2022).
    case flowPrediction = "flow_prediction"

    /// What the settings say (`prediction_type`).
    init(_ settings: SchedulerSettings) throws { self = try settings.choice("prediction_type", as: PredictionType.self) }

    /// Refuses levels at which a prediction doesn't say what a step needs: ε not the original where there is no signal, x_0 not the
    /// noise where there is none.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)``.
    func check(_ levels: [NoiseLevel], scheduler: String) throws {
        if self == .epsilon, levels.contains(where: { $0.alpha == 0 }) {
            throw SchedulerError.contradiction(
                scheduler: scheduler,
                reason: "a timestep without any signal (rescale_betas_zero_snr) needs another prediction_type than epsilon")
        }
        if self == .sample, levels.contains(where: { $0.sigma == 0 }) {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "a step from a sample without any noise needs another prediction_type than sample"
            )
        }
    }

    /// The predicted original sample x_0.
    /// - Parameters:
    ///   - output: the model's prediction.
    ///   - sample: x_t.
    ///   - level: x_t's factors of signal and noise.
    func original(from output: [Float], sample: [Float], level: NoiseLevel) -> [Float] {
        let (alpha, sigma) = (level.alpha, level.sigma)
        switch self {
        case .epsilon: return combine(sample, output) { ($0 - sigma * $1) / alpha }
        case .sample, .originalSample: return output
        case .vPrediction: return combine(sample, output) { alpha * $0 - sigma * $1 }
        case .flowPrediction: return combine(sample, output) { $0 - sigma * $1 }
        }
    }

    /// The predicted noise ε; the parameters are those of `original`.
    func noise(from output: [Float], sample: [Float], level: NoiseLevel) -> [Float] {
        let (alpha, sigma) = (level.alpha, level.sigma)
        switch self {
        case .epsilon: return output
        case .sample, .originalSample: return combine(sample, output) { ($0 - alpha * $1) / sigma }
        case .vPrediction: return combine(sample, output) { alpha * $1 + sigma * $0 }
        case .flowPrediction: return combine(sample, output) { $0 + alpha * $1 }
        }
    }

    /// The predicted original sample on the variance-exploding scale, x = x_0 + σ ε (Karras et al. 2022, table 1, where the model
    /// sees x / √(σ² + 1)).
    /// - Parameters:
    ///   - output: the model's prediction.
    ///   - sample: x.
    ///   - sigma: the noise level of x.
    ///   - velocitySigma: the noise level that a velocity is read with; `sigma` where it isn't given.
    func original(
        from output: [Float], sample: [Float], sigma: Float, velocitySigma: Float? = nil
    ) -> [Float] {
        switch self {
        case .sample, .originalSample: return output
        case .epsilon, .flowPrediction: return combine(sample, output) { $0 - sigma * $1 }
        case .vPrediction:
            let sigma = velocitySigma ?? sigma
            let square = sigma * sigma + 1
            let outputFactor = -sigma / square.squareRoot()
            return combine(sample, output) { $1 * outputFactor + $0 / square }
        }
    }
}
