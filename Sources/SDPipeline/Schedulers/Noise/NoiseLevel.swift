import Foundation

/// How much of a noisy sample x = alpha · x_0 + sigma · noise is signal and how much is noise.
///
/// Single precision, as the schedulers of diffusers compute it from a noise level that was rounded to single precision.
public struct NoiseLevel: Sendable, Equatable {
    /// The factor of the original sample: √ᾱ where the variance is preserved, 1 where it explodes, 1 − σ for flows.
    public let alpha: Float
    /// The factor of the noise.
    public let sigma: Float

    /// A level of these two factors, which aren't checked.
    public init(alpha: Float, sigma: Float) {
        self.alpha = alpha
        self.sigma = sigma
    }

    /// The level of ᾱ (Ho et al. 2020, equation 4).
    init(alphaCumprod: Float) {
        self.init(alpha: alphaCumprod.squareRoot(), sigma: (1 - alphaCumprod).squareRoot())
    }

    /// The level whose noise is `sigma` times its signal, scaled to a variance of 1.
    init(ratio sigma: Float) {
        let alpha = 1 / (sigma * sigma + 1).squareRoot()
        self.init(alpha: alpha, sigma: sigma * alpha)
    }

    /// The level of a straight path between sample and noise (Lipman et al. 2022).
    init(flow sigma: Float) {
        self.init(alpha: 1 - sigma, sigma: sigma)
    }

    /// λ = ln(alpha / sigma), half the logarithm of the signal-to-noise ratio (Lu et al. 2022, section 3).
    var lambda: Float { SingleMath.log(alpha) - SingleMath.log(sigma) }

    /// The signal-to-noise ratio (alpha / sigma)²; infinite without noise.
    public var signalToNoiseRatio: Double {
        let ratio = Double(alpha) / Double(sigma)
        return ratio * ratio
    }
}

/// Single-precision functions, correctly rounded: the same on every machine, and as close to torch's as can be.
enum SingleMath {
    static func exp(_ x: Float) -> Float { Float(Foundation.exp(Double(x))) }
    static func expm1(_ x: Float) -> Float { Float(Foundation.expm1(Double(x))) }
    static func log(_ x: Float) -> Float { Float(Foundation.log(Double(x))) }
    static func pow(_ x: Float, _ y: Double) -> Float { Float(Foundation.pow(Double(x), y)) }
}
