/// Pseudo numerical methods for diffusion models (Liu et al. 2022). diffusers: `PNDMScheduler`.
///
/// With Runge-Kutta steps (the default) the first three steps take four evaluations each (equation 13), the others
/// are linear multistep of fourth order (equation 12). With `skip_prk_steps`, as Stable Diffusion's models state, all
/// are linear multistep (PLMS): the first step is repeated for a second evaluation, and the order grows from 1 to 4.
/// Both transfer by equation 9. Deterministic; the history is in `SchedulerState.modelOutputs`. Order 4 where timesteps are even in σ/α, as
/// the weights assume, else 2. `prediction_type` `sample` is refused, in diffusers with the first step.
public struct PNDMScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "PNDMScheduler", shortName: "pndm",
        aliases: [.init("plms", overrides: ["skip_prk_steps": .flag(true)])],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                SchedulerParameter("skip_prk_steps", .flag, default: .flag(false)),
                .setAlphaToOne(default: false),
                .predictionType([.epsilon, .vPrediction]),
            ] + SchedulerParameter.timestepSpacing(default: .leading),
        order: 4, isStochastic: false,
        paper: "Liu, Ren, Lin, Zhao 2022, Pseudo Numerical Methods for Diffusion Models on Manifolds (arXiv:2202.09778), "
            + "eq. 9, 12 and 13, alg. 2")

    /// The Runge-Kutta evaluations: four for each of three steps.
    private static let rungeKuttaEvaluations = 12

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    /// The betas of the training timesteps, and what follows from them.
    public let noiseSchedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    private let skipsRungeKutta: Bool
    /// Training timesteps between two steps.
    private let stride: Int
    /// ᾱ before the first timestep.
    private let finalAlphaCumprod: Float
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        let scheduler = settings.className
        let schedule = try NoiseSchedule(settings)
        noiseSchedule = schedule
        prediction = try PredictionType(settings)
        skipsRungeKutta = try settings.flag("skip_prk_steps")
        let count = try request.stepCount(trainTimesteps: noiseSchedule.count, scheduler: scheduler)
        stride = noiseSchedule.count / count
        finalAlphaCumprod = try settings.flag("set_alpha_to_one") ? 1 : noiseSchedule.alphasCumprod[0]
        let descending = try TimestepSpacing.wholeTimesteps(settings, trainTimesteps: schedule.count, count: count)
        if skipsRungeKutta {
            // The second timestep is visited twice.
            wholeTimesteps = Array(descending.prefix(2) + descending.dropFirst())
        } else {
            guard count >= 4 else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler, reason: "\(count) steps were asked for, with Runge-Kutta steps at least 4 are needed")
            }
            let half = stride / 2
            var evaluations: [Int] = []
            for (now, next) in zip(descending.prefix(3), descending.dropFirst()) {
                evaluations += [now, next + half, next + half, next]
            }
            wholeTimesteps = evaluations + descending.dropFirst(3)
        }
        if let wrong = wholeTimesteps.first(where: { $0 >= schedule.count }) {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "timestep \(wrong) is out of range, the model was trained on timesteps 0 to \(schedule.count - 1)")
        }
        timesteps = wholeTimesteps.map { Float($0) }
        noiseLevels = try schedule.levels(at: wholeTimesteps, for: scheduler)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let result =
            !skipsRungeKutta && index < Self.rungeKuttaEvaluations
            ? try rungeKuttaStep(modelOutput, at: index, sample: sample, state: &state)
            : try multistepStep(modelOutput, at: index, sample: sample, state: &state)
        state.stepsTaken += 1
        return result
    }

    public func checkStart(at index: Int) throws {
        try checkIndex(index)
        guard skipsRungeKutta || index == 0 else { throw startInTheMiddle }
    }

    private var startInTheMiddle: SchedulerError {
        .invalidStep(
            scheduler: name,
            reason: "Runge-Kutta steps can't start in the middle of a run; set skip_prk_steps to true for that (plms)")
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try noiseSchedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }

    /// One of the four evaluations of a Runge-Kutta step (equation 13).
    private func rungeKuttaStep(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState
    ) throws -> [Float] {
        guard state.stepsTaken == index else { throw startInTheMiddle }
        let sixth = Float(1.0 / 6.0)
        let third = Float(1.0 / 3.0)
        var output = modelOutput
        switch index % 4 {
        case 0:
            state.accumulatedOutput = modelOutput.map { sixth * $0 }
            state.modelOutputs.append(modelOutput)
            state.heldSample = sample
        case 3:
            output = combine(try accumulated(state), modelOutput) { $0 + sixth * $1 }
            state.accumulatedOutput = nil
        default:
            state.accumulatedOutput = combine(try accumulated(state), modelOutput) { $0 + third * $1 }
        }
        let previous = wholeTimesteps[index] - (index.isMultiple(of: 2) ? stride / 2 : 0)
        return try transferred(
            state.heldSample ?? sample, from: wholeTimesteps[index / 4 * 4], to: previous, output: output)
    }

    private func accumulated(_ state: SchedulerState) throws -> [Float] {
        guard let sum = state.accumulatedOutput else {
            throw SchedulerError.invalidStep(scheduler: name, reason: "the state isn't that of a Runge-Kutta step")
        }
        return sum
    }

    /// A linear multistep step (equation 12), of a lower order while the history is short.
    private func multistepStep(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState
    ) throws -> [Float] {
        guard skipsRungeKutta || state.modelOutputs.count >= 3 else {
            throw SchedulerError.invalidStep(
                scheduler: name, reason: "multistep steps need the Runge-Kutta steps before them; set skip_prk_steps to true")
        }
        var start = sample
        var timestep = wholeTimesteps[index]
        var previous = timestep - stride
        let repeatsFirst = state.stepsTaken == 1
        if repeatsFirst {
            // The second evaluation of the first step: it starts again from the sample of the first.
            previous = timestep
            timestep += stride
            start = state.heldSample ?? sample
        } else {
            state.remember(modelOutput, count: 4)
        }
        let output: [Float]
        if repeatsFirst, let first = state.modelOutputs.last {
            output = combine(modelOutput, first) { ($0 + $1) / 2 }
            state.heldSample = nil
        } else {
            output = LinearMultistep.slope(state.modelOutputs)
            if state.modelOutputs.count == 1 { state.heldSample = sample }
        }
        return try transferred(start, from: timestep, to: previous, output: output)
    }

    /// Equation 9: the sample moved from timestep t to t − δ along the prediction.
    private func transferred(_ sample: [Float], from timestep: Int, to previous: Int, output: [Float]) throws -> [Float] {
        let alpha = try noiseSchedule.alphaCumprod(at: timestep, for: name)
        let previousAlpha =
            previous >= 0 ? try noiseSchedule.alphaCumprod(at: previous, for: name) : finalAlphaCumprod
        let beta = 1 - alpha
        let epsilon = prediction.noise(from: output, sample: sample, level: NoiseLevel(alphaCumprod: alpha))
        let sampleCoefficient = (previousAlpha / alpha).squareRoot()
        let denominator = alpha * (1 - previousAlpha).squareRoot() + (alpha * beta * previousAlpha).squareRoot()
        let difference = previousAlpha - alpha
        return combine(sample, epsilon) { sampleCoefficient * $0 - difference * $1 / denominator }
    }
}
