/// Heun's method that goes back up: from a low noise level noise is added to a higher one, and the steps between are taken again, which
/// contracts the errors of the steps so far (Xu et al. 2023). AUTOMATIC1111: `Restart`; diffusers has none.
///
/// The numbers are those of AUTOMATIC1111's web UI. From 20 steps on, 9 of them are taken again once between noise levels near 0.1 and 2; from
/// 36 on, a quarter of them twice. The others have Karras' noise levels from the first to the last of those that the settings give. With fewer
/// steps than 20 it is Heun's method.
///
/// Order 2, two evaluations a step, one for a step to a noise level of 0; draws noise where it goes up. A run can start at a step.
public struct RestartScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "RestartScheduler", shortName: "restart",
        parameters: SchedulerParameter.kDiffusion, stepOptions: ["s_noise"], order: 2, evaluationsPerStep: 2,
        isStochastic: true,
        takesSigmas: true,
        paper: "Xu et al. 2023, Restart Sampling for Improving Generative Processes (arXiv:2306.14878), alg. 1, over alg. 1 of "
            + "Karras et al. 2022 (arXiv:2206.00364)")

    private struct Step {
        let from: Float
        let to: Float
    }

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    private let steps: [Step]
    /// The step of each evaluation, and whether it is the step's second one.
    private let places: [(step: Int, isSecond: Bool)]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request)
        steps = Self.steps(plan)
        places = steps.enumerated().flatMap { index, step in
            step.to > 0 ? [(step: index, isSecond: false), (step: index, isSecond: true)] : [(step: index, isSecond: false)]
        }
        let steps = steps
        evaluationSigmas = places.map { $0.isSecond ? steps[$0.step].to : steps[$0.step].from }
        timesteps = evaluationSigmas.map(plan.timestep(of:))
        initNoiseSigma = plan.initNoiseSigma
    }

    private static func steps(_ plan: SigmaPlan) -> [Step] {
        var levels = plan.storedSigmas
        let count = levels.count - 1
        let (repeated, times) = count >= 36 ? (count / 4, 2) : count >= 20 ? (9, 1) : (0, 0)
        func karras(_ count: Int, largest: Float, smallest: Float) -> [Float] {
            SigmaSchedule.karras.levels(largest: Double(largest), smallest: Double(smallest), count: count).map { Float($0) }
        }
        func pairs(_ levels: [Float]) -> [Step] { zip(levels, levels.dropFirst()).map(Step.init) }
        func nearest(_ level: Float) -> Int {
            levels.indices.min { (levels[$0] - level).magnitude < (levels[$1] - level).magnitude } ?? 0
        }
        guard times > 0 else { return pairs(levels) }
        levels = karras(count - repeated * times, largest: levels[0], smallest: levels[count - 1]) + [0]
        let (low, high) = (nearest(0.1), nearest(2))
        guard high < low else { return pairs(levels) }
        let again = pairs(karras(repeated + 1, largest: levels[high], smallest: levels[low]))
        let all = pairs(levels)
        return all.prefix(low) + (0..<times).flatMap { _ in again } + all.dropFirst(low)
    }

    public var sigmas: [Float] { evaluationSigmas + steps.suffix(1).map(\.to) }

    public func checkStart(at index: Int) throws {
        try checkIndex(index)
        if places[index].isSecond { throw startInAStep }
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = evaluationSigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: sigma)
        let slope = combine(sample, original) { ($0 - $1) / sigma }
        let place = places[index]
        let difference = steps[place.step].to - steps[place.step].from
        let start = place.isSecond ? try heldSample(state) : sample
        var result: [Float]
        if place.isSecond {
            let mean = combine(state.modelOutputs.last ?? slope, slope) { ($0 + $1) / 2 }
            result = combine(start, mean) { $0 + $1 * difference }
        } else {
            result = combine(sample, slope) { $0 + $1 * difference }
        }
        state.stepsTaken += 1
        let hasSecond = !place.isSecond && steps[place.step].to > 0
        state.heldSample = hasSecond ? sample : nil
        state.modelOutputs = hasSecond ? [slope] : []
        if !hasSecond, place.step + 1 < steps.count {
            let (reached, next) = (steps[place.step].to, steps[place.step + 1].from)
            if next > reached {
                let deviation = (next * next - reached * reached).squareRoot()
                let scale = Float(options.noiseScale)
                result = combine(result, try draw(sample.count, from: noise)) { $0 + $1 * scale * deviation }
            }
        }
        return result
    }
}
