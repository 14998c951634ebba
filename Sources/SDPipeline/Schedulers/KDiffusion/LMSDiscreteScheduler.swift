/// Linear multistep method along the probability-flow equation: the slope is the polynomial through the last four, integrated over the
/// step. diffusers: `LMSDiscreteScheduler`.
///
/// Order 4, one evaluation a step; deterministic; the slopes are in `SchedulerState.modelOutputs`. A run that starts in the middle has, as
/// in diffusers, the weights of a full history from its first step on, although there is none yet.
public struct LMSDiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "LMSDiscreteScheduler", shortName: "lms",
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.predictionType([.epsilon, .sample, .vPrediction])]
            + SchedulerParameter.sigmaMethods + SchedulerParameter.timestepSpacing(default: .linspace),
        order: largestOrder, isStochastic: false, takesSigmas: true,
        paper:
            "Adams-Bashforth method of order 4 (Hairer, Nørsett, Wanner 1993, Solving Ordinary Differential Equations I, III.1, and "
            + "III.5 for steps of variable size); k-diffusion's sample_lms")

    private static let largestOrder = 4

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        (timesteps, sigmas, initNoiseSigma) = try SigmaPlan.descending(settings, request: request).stored
    }

    public var evaluationSigmas: [Float] { sigmas.dropLast() }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = sigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: sigma)
        state.remember(combine(sample, original) { ($0 - $1) / sigma }, count: Self.largestOrder)
        state.stepsTaken += 1
        let order = min(index + 1, Self.largestOrder)
        let terms = zip(0..<order, state.modelOutputs.reversed()).map { position, slope in
            (weight: coefficient(order: order, at: index, position: position), values: slope)
        }
        return combine(sample, weightedSum(terms)) { $0 + $1 }
    }

    /// The integral over the step of the Lagrange polynomial that is 1 at the noise level `position` steps back and 0 at the other
    /// `order` − 1 of the last `order`. Gauss and Legendre's two points are exact for its degree of at most 3.
    private func coefficient(order: Int, at index: Int, position: Int) -> Float {
        let (start, end) = (Double(sigmas[index]), Double(sigmas[index + 1]))
        func polynomial(_ sigma: Double) -> Double {
            (0..<order).filter { $0 != position }.reduce(1) { product, other in
                let node = Double(sigmas[index - other])
                return product * (sigma - node) / (Double(sigmas[index - position]) - node)
            }
        }
        let middle = (start + end) / 2
        let offset = (end - start) / 2 / 3.0.squareRoot()
        return Float((polynomial(middle - offset) + polynomial(middle + offset)) * (end - start) / 2)
    }
}
