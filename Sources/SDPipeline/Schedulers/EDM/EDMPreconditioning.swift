import Foundation

/// The preconditioning of EDM and its noise levels (Karras et al. 2022, table 1, last column), for models that were trained with it.
struct EDMPreconditioning {
    /// c_in · x is what the model sees, c_skip · x + c_out · F what it predicts of the original sample.
    private let dataSigma: Double
    private let isVelocity: Bool
    /// √(σ_max² + 1).
    let initNoiseSigma: Float

    static let parameters = [
        SchedulerParameter("sigma_min", .number(1e-10...1e10), default: .number(0.002)),
        SchedulerParameter("sigma_max", .number(1e-10...1e10), default: .number(80)),
        SchedulerParameter("sigma_data", .number(1e-10...1e10), default: .number(0.5)),
        SchedulerParameter("sigma_schedule", .choice(["karras", "exponential"]), default: .text("karras")),
        SchedulerParameter(
            "num_train_timesteps", .integer(1...SchedulerParameter.largestTrainTimesteps), default: .integer(1000)),
        .predictionType([.epsilon, .vPrediction]),
        SchedulerParameter("rho", .number(1e-3...1e3), default: .number(7)),
        .finalSigmas,
    ]

    init(_ settings: SchedulerSettings) throws {
        dataSigma = try settings.number("sigma_data")
        isVelocity = try settings.text("prediction_type") == PredictionType.vPrediction.rawValue
        let largest = try settings.number("sigma_max")
        initNoiseSigma = Float((largest * largest + 1).squareRoot())
    }

    /// The noise level of each step, descending, in single precision.
    /// - Parameter isDouble: whether Karras' levels are computed in double precision before they are rounded.
    static func sigmas(_ settings: SchedulerSettings, count: Int, isDouble: Bool) throws -> [Float] {
        let (smallest, largest) = (try settings.number("sigma_min"), try settings.number("sigma_max"))
        guard smallest < largest else {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "sigma_min is \(smallest) and sigma_max \(largest), expected less and more")
        }
        if try settings.text("sigma_schedule") == "exponential" {
            return NoiseSchedule.linspace(Float(log(smallest)), Float(log(largest)), count: count).map { SingleMath.exp($0) }
                .reversed()
        }
        let rho = try settings.number("rho")
        if isDouble {
            return SigmaSchedule.karras.levels(largest: largest, smallest: smallest, count: count, rho: rho).map { Float($0) }
        }
        let (high, low) = (pow(largest, 1 / rho), pow(smallest, 1 / rho))
        return NoiseSchedule.linspace(0, 1, count: count).map { SingleMath.pow(Float(high) + $0 * Float(low - high), rho) }
    }

    /// c_noise = ¼ ln σ: what the model sees as timestep.
    static func timestep(of sigma: Float) -> Float { 0.25 * SingleMath.log(sigma) }

    /// c_in · x.
    func input(_ sample: [Float], sigma: Float) -> [Float] {
        let factor = 1 / (sigma * sigma + Float(dataSigma * dataSigma)).squareRoot()
        return sample.map { $0 * factor }
    }

    /// The predicted original sample.
    func original(from output: [Float], sample: [Float], sigma: Float) -> [Float] {
        let square = sigma * sigma + Float(dataSigma * dataSigma)
        let kept = Float(dataSigma * dataSigma) / square
        let predicted = (isVelocity ? -sigma : sigma) * Float(dataSigma) / square.squareRoot()
        return combine(sample, output) { kept * $0 + predicted * $1 }
    }
}
