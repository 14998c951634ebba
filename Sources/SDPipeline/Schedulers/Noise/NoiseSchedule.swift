import Foundation

/// The forward process of a model: the variance β_t added at each training timestep and the cumulative product ᾱ_t of
/// 1 − β_t, so that q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I) (Ho et al. 2020, equation 4).
///
/// Values have torch's precision: single, with the cumulative product accumulated in double.
public struct NoiseSchedule: Sendable, Equatable {
    /// The largest β of schedules that are given by ᾱ(t).
    private static let largestBeta = 0.999
    /// ᾱ of the last timestep where zero would make a noise level infinite: the smallest half-precision number.
    private static let smallestAlphaCumprod: Float = 0x1p-24

    /// β_t of each training timestep.
    public let betas: [Float]
    /// ᾱ_t of each training timestep.
    public private(set) var alphasCumprod: [Float]

    /// The number of training timesteps.
    public var count: Int { betas.count }

    /// - Parameters:
    ///   - settings: `beta_schedule` and its relatives.
    ///   - keepsSignal: whether betas rescaled to zero terminal SNR leave a trace of signal at the last timestep, as schedulers that
    ///     divide by √ᾱ need.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)`` when the number of given betas isn't the number of timesteps.
    init(_ settings: SchedulerSettings, keepsSignal: Bool = false) throws {
        let count = try settings.integer("num_train_timesteps")
        let start = try settings.number("beta_start")
        let end = try settings.number("beta_end")
        var betas: [Float]
        if let given = try settings.optionalNumbers("trained_betas") {
            guard given.count == count else {
                throw SchedulerError.contradiction(
                    scheduler: settings.className,
                    reason: "trained_betas has \(given.count) values and num_train_timesteps is \(count), expected the same")
            }
            betas = given.map { Float($0) }
        } else {
            switch try settings.text("beta_schedule") {
            case "scaled_linear":
                betas = Self.linspace(Float(start.squareRoot()), Float(end.squareRoot()), count: count).map { $0 * $0 }
            case "squaredcos_cap_v2":
                betas = Self.betas(count: count) { time in
                    // Nichol and Dhariwal 2021, equation 17.
                    let cosine = cos((time + 0.008) / 1.008 * .pi / 2)
                    return cosine * cosine
                }
            case "exp":
                betas = Self.betas(count: count) { exp($0 * -12) }
            case "sigmoid":
                let range = Float(end - start)
                betas = Self.linspace(-6, 6, count: count).map { x in
                    Float(1 / (1 + exp(-Double(x)))) * range + Float(start)
                }
            default:
                betas = Self.linspace(Float(start), Float(end), count: count)
            }
        }
        let isRescaled = settings.has("rescale_betas_zero_snr") ? try settings.flag("rescale_betas_zero_snr") : false
        if isRescaled { betas = Self.rescaledToZeroTerminalSNR(betas) }
        self.betas = betas
        alphasCumprod = Self.cumulativeProduct(betas.map { 1 - $0 })
        if isRescaled, keepsSignal { alphasCumprod[count - 1] = Self.smallestAlphaCumprod }
    }

    /// ᾱ of a timestep.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` for a timestep that the model wasn't trained on.
    func alphaCumprod(at timestep: Int, for scheduler: String) throws -> Float {
        guard alphasCumprod.indices.contains(timestep) else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "timestep \(timestep) is out of range, the model was trained on timesteps 0 to \(count - 1)")
        }
        return alphasCumprod[timestep]
    }

    /// A draw from q(x_t | x_0): √ᾱ_t · original + √(1 − ᾱ_t) · noise.
    /// - Throws: ``SchedulerError`` when the timestep is out of range or the sizes differ.
    public func addNoise(to original: [Float], noise: [Float], timestep: Int, for scheduler: String) throws -> [Float] {
        let alpha = try alphaCumprod(at: timestep, for: scheduler)
        guard original.count == noise.count else {
            throw SchedulerError.invalidStep(
                scheduler: scheduler,
                reason: "the noise has \(noise.count) values and the sample \(original.count), expected the same")
        }
        let signal = alpha.squareRoot()
        let spread = (1 - alpha).squareRoot()
        return combine(original, noise) { signal * $0 + spread * $1 }
    }

    /// The levels of timesteps.
    /// - Parameter prediction: what the model is to predict there, if that is to be checked.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` for a timestep that the model wasn't trained on,
    ///   ``SchedulerError/contradiction(scheduler:reason:)`` for one whose prediction says nothing.
    func levels(at timesteps: [Int], predicting prediction: PredictionType? = nil, for scheduler: String) throws -> [NoiseLevel]
    {
        let levels = try timesteps.map { NoiseLevel(alphaCumprod: try alphaCumprod(at: $0, for: scheduler)) }
        try prediction?.check(levels, scheduler: scheduler)
        return levels
    }

    /// The noise level of each training timestep on the variance-exploding scale, σ_t = √((1 − ᾱ_t) / ᾱ_t)
    /// (Karras et al. 2022, table 1).
    var sigmas: [Float] {
        alphasCumprod.map { ((1 - $0) / $0).squareRoot() }
    }

    /// `torch.linspace` in single precision: counted from both ends, with a fused multiply and add.
    static func linspace(_ start: Float, _ end: Float, count: Int) -> [Float] {
        guard count > 1 else { return [Float](repeating: start, count: count) }
        let step = (end - start) / Float(count - 1)
        return (0..<count).map { index in
            index < count / 2
                ? start.addingProduct(step, Float(index))
                : end.addingProduct(-step, Float(count - index - 1))
        }
    }

    /// The betas whose cumulative product follows ᾱ(t), 0 ≤ t ≤ 1, each at most 0.999 (Nichol and Dhariwal 2021, section 3.2).
    private static func betas(count: Int, alphaBar: (Double) -> Double) -> [Float] {
        (0..<count).map { index in
            let now = alphaBar(Double(index) / Double(count))
            let next = alphaBar(Double(index + 1) / Double(count))
            return Float(min(1 - next / now, largestBeta))
        }
    }

    /// Lin et al. 2023 ("Common Diffusion Noise Schedules and Sample Steps are Flawed"), algorithm 1.
    private static func rescaledToZeroTerminalSNR(_ betas: [Float]) -> [Float] {
        var roots = cumulativeProduct(betas.map { 1 - $0 }).map { $0.squareRoot() }
        guard let first = roots.first, let last = roots.last else { return betas }
        let scale = first / (first - last)
        roots = roots.map { ($0 - last) * scale }
        let products = roots.map { $0 * $0 }
        return products.indices.map { index in
            1 - (index == 0 ? products[0] : products[index] / products[index - 1])
        }
    }

    /// `torch.cumprod` on the CPU: accumulated in double, stored in single precision.
    private static func cumulativeProduct(_ values: [Float]) -> [Float] {
        var product = 1.0
        return values.map { value in
            product *= Double(value)
            return Float(product)
        }
    }
}
