import Foundation

/// Improved pseudo numerical method: linear multistep of order 4 on a path of its own, x = cos(φ) x_0 + sin(φ) ε in diffusers' variables.
/// diffusers: `IPNDMScheduler`.
///
/// One evaluation a step; deterministic; the slopes are in `SchedulerState.modelOutputs`. Its own noise levels begin without signal, which
/// the first step can't use: order 1 for a whole run, and 4 only on levels that are even in σ/α. Timesteps run from 1 to 0: it is for
/// models that were trained so, and a Stable Diffusion model, which counts to 1000, makes no picture with it, in diffusers neither.
/// `trained_betas` are the factors of the noise of each step and of the end.
public struct IPNDMScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "IPNDMScheduler", shortName: "ipndm",
        parameters: [
            SchedulerParameter(
                "num_train_timesteps", .integer(1...SchedulerParameter.largestTrainTimesteps), default: .integer(1000)),
            SchedulerParameter("trained_betas", .numbers(0...1), default: .absent, isOptional: true),
        ],
        order: 4, isStochastic: false,
        modelKind: .otherLevels,
        paper:
            "Zhang, Chen 2022 (arXiv:2204.13902), section B.2, after Liu et al. 2022 (arXiv:2202.09778), eq. 12; v-diffusion-pytorch's "
            + "plms_sample")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    private let levels: [NoiseLevel]

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        let count = try request.stepCount(
            trainTimesteps: settings.integer("num_train_timesteps"), scheduler: settings.className)
        // Float.pi is rounded towards zero.
        let pi = Float(Double.pi)
        let sines: [Float]
        if let given = try settings.optionalNumbers("trained_betas") {
            guard given.count >= 2 else {
                throw SchedulerError.contradiction(
                    scheduler: settings.className,
                    reason: "trained_betas has \(given.count) values, expected one more than steps")
            }
            sines = given.map { Float($0) }
        } else {
            let steps = NoiseSchedule.linspace(1, 0, count: count + 1).dropLast() + [0]
            sines = steps.map { step in
                let sine = Float(sin(Double(step * pi / 2)))
                return sine * sine
            }
        }
        levels = sines.map { NoiseLevel(alpha: (1 - $0 * $0).squareRoot(), sigma: $0) }
        timesteps = levels.dropLast().map { Float(atan2(Double($0.sigma), Double($0.alpha))) / pi * 2 }
    }

    public var noiseLevels: [NoiseLevel] { levels.dropLast() }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let (start, end) = (levels[index], levels[index + 1])
        state.remember(weightedSum((start.sigma, sample), (start.alpha, modelOutput)), count: 4)
        state.stepsTaken += 1
        let slope = LinearMultistep.slope(state.modelOutputs)
        let divisor = max(start.alpha, 1e-8)
        return combine(sample, slope) { end.alpha * (($0 - start.sigma * $1) / divisor) + $1 * end.sigma }
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        try checkSameSize(original, noise)
        return weightedSum((levels[index].alpha, original), (levels[index].sigma, noise))
    }
}
