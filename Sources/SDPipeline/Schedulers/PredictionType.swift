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

    /// The predicted original sample x_0.
    /// - Parameters:
    ///   - output: the model's prediction.
    ///   - sample: x_t.
    ///   - alpha: ᾱ_t.
    func original(from output: [Float], sample: [Float], alpha: Float) -> [Float] {
        let rootAlpha = alpha.squareRoot()
        let rootBeta = (1 - alpha).squareRoot()
        switch self {
        case .epsilon: return combine(sample, output) { ($0 - rootBeta * $1) / rootAlpha }
        case .sample, .originalSample: return output
        case .vPrediction: return combine(sample, output) { rootAlpha * $0 - rootBeta * $1 }
        }
    }

    /// The predicted noise ε; the parameters are those of `original`.
    func noise(from output: [Float], sample: [Float], alpha: Float) -> [Float] {
        let rootAlpha = alpha.squareRoot()
        let rootBeta = (1 - alpha).squareRoot()
        switch self {
        case .epsilon: return output
        case .sample, .originalSample: return combine(sample, output) { ($0 - rootAlpha * $1) / rootBeta }
        case .vPrediction: return combine(sample, output) { rootAlpha * $1 + rootBeta * $0 }
        }
    }
}
