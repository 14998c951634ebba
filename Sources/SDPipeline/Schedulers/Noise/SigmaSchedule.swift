import Foundation

/// The noise levels of a run, for schedulers on the variance-exploding scale (Karras et al. 2022).
/// Double precision, as in diffusers, until the result is stored.
enum SigmaSchedule: Sendable, Equatable {
    /// The levels of the run's timesteps.
    case timesteps
    /// Karras et al. 2022, equation 5, with ρ = 7 where it isn't stated.
    case karras
    /// Evenly spaced logarithms.
    case exponential
    /// Quantiles of the beta distribution with α = β = 0.6 (Lee et al. 2024, "Beta Sampling is All You Need").
    case beta

    /// Reads `use_karras_sigmas`, `use_exponential_sigmas` and `use_beta_sigmas`.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)`` when more than one is set.
    init(_ settings: SchedulerSettings) throws {
        let methods: [(String, SigmaSchedule)] = [
            ("use_karras_sigmas", .karras), ("use_exponential_sigmas", .exponential), ("use_beta_sigmas", .beta),
        ]
        let chosen = try methods.filter { key, _ in settings.has(key) ? try settings.flag(key) : false }
        guard chosen.count <= 1 else {
            throw SchedulerError.contradiction(
                scheduler: settings.className, reason: "\(chosen.map(\.0).joined(separator: " and ")) can't be used together")
        }
        self = chosen.first?.1 ?? .timesteps
    }

    /// `count` levels from the largest to the smallest.
    func levels(largest: Double, smallest: Double, count: Int, rho: Double = 7) -> [Double] {
        switch self {
        case .timesteps:
            return []
        case .karras:
            let high = pow(largest, 1 / rho)
            let low = pow(smallest, 1 / rho)
            return TimestepSpacing.linspace(0, 1, count: count).map { pow(high + $0 * (low - high), rho) }
        case .exponential:
            return TimestepSpacing.linspace(log(largest), log(smallest), count: count).map { exp($0) }
        case .beta:
            return TimestepSpacing.linspace(0, 1, count: count).map { position in
                smallest + betaQuantile(1 - position, 0.6, 0.6) * (largest - smallest)
            }
        }
    }

    /// `numpy.interp` of a table over 0, 1, 2, … at a position; clamped at both ends. `table` isn't empty.
    static func interpolate(_ table: [Float], at position: Double) -> Double {
        let last = table.count - 1
        if position >= Double(last) { return Double(table[last]) }
        if !(position > 0) { return Double(table[0]) }
        let index = Int(position)
        let slope = Double(table[index + 1]) - Double(table[index])
        return slope * (position - Double(index)) + Double(table[index])
    }

    /// The fractional timestep of a noise level: linear between the logarithms of the training levels.
    /// - Parameters:
    ///   - sigma: the noise level.
    ///   - logSigmas: logarithms of the training timesteps' noise levels, ascending; at least two.
    ///   - isSingle: whether `sigma` is a single-precision value, whose place between two levels numpy computes in single precision.
    static func timestep(of sigma: Double, logSigmas: [Float], isSingle: Bool) -> Double {
        let logSigma = log(max(sigma, 1e-10))
        if isSingle {
            let (index, weight) = place(of: Float(logSigma), logSigmas: logSigmas)
            return Double(1 - weight) * Double(index) + Double(weight) * Double(index + 1)
        }
        let index = lowerIndex(of: logSigma, logSigmas: logSigmas)
        let (low, high) = (logSigmas[index], logSigmas[index + 1])
        let weight = min(max((Double(low) - logSigma) / Double(low - high), 0), 1)
        return (1 - weight) * Double(index) + weight * Double(index + 1)
    }

    /// The same with every operation in single precision, as torch computes it.
    static func timestep(of sigma: Float, logSigmas: [Float]) -> Float {
        let (index, weight) = place(of: SingleMath.log(max(sigma, 1e-10)), logSigmas: logSigmas)
        return (1 - weight) * Float(index) + weight * Float(index + 1)
    }

    /// The training timestep below a level, and how far the level is from there to the next one, 0 to 1.
    private static func place(of logSigma: Float, logSigmas: [Float]) -> (index: Int, weight: Float) {
        let index = lowerIndex(of: Double(logSigma), logSigmas: logSigmas)
        let (low, high) = (logSigmas[index], logSigmas[index + 1])
        return (index, clamped((low - logSigma) / (low - high), 0, 1))
    }

    private static func lowerIndex(of logSigma: Double, logSigmas: [Float]) -> Int {
        min(logSigmas.lastIndex { logSigma >= Double($0) } ?? 0, logSigmas.count - 2)
    }
}
