import Foundation

/// Euler steps along straight paths, for models trained by flow matching (Lipman et al. 2022). diffusers:
/// `FlowMatchEulerDiscreteScheduler`.
///
/// Order 1, one evaluation a step; stochastic with `stochastic_sampling`, which ends with about half of the data's variance.
/// `use_dynamic_shifting`, for which a pipeline has to state the shift, is refused.
public struct FlowMatchEulerDiscreteScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "FlowMatchEulerDiscreteScheduler", shortName: "flow-euler", aliases: [.init("flow match euler")],
        parameters: FlowSchedule.parameters
            + [
                .flag("use_dynamic_shifting", default: false),
                SchedulerParameter("base_shift", .number(-1e3...1e3), default: .number(0.5), isOptional: true),
                SchedulerParameter("max_shift", .number(-1e3...1e3), default: .number(1.15), isOptional: true),
                SchedulerParameter(
                    "base_image_seq_len", .integer(1...Int(Int32.max)), default: .integer(256), isOptional: true),
                SchedulerParameter(
                    "max_image_seq_len", .integer(1...Int(Int32.max)), default: .integer(4096), isOptional: true),
                .flag("invert_sigmas", default: false),
                SchedulerParameter("shift_terminal", .number(1e-6...0.999), default: .absent, isOptional: true),
                SchedulerParameter("time_shift_type", .choice(["exponential", "linear"]), default: .text("exponential")),
                .flag("stochastic_sampling", default: false),
            ] + SchedulerParameter.sigmaMethods,
        order: 1, isStochastic: false, takesTimesteps: true, takesSigmas: true,
        modelKind: .flow,
        paper:
            "Lipman et al. 2022, Flow Matching for Generative Modeling (arXiv:2210.02747); shift: Esser et al. 2024 (arXiv:2403.03206), "
            + "eq. 23")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    private let addsNoise: Bool

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        guard try !settings.flag("use_dynamic_shifting") else {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "use_dynamic_shifting needs a shift for the picture's size, state shift instead")
        }
        addsNoise = try settings.flag("stochastic_sampling")
        let flow = try FlowSchedule(settings)
        let method = try SigmaSchedule(settings)
        var given: [Float]?
        var levels: [Double]
        switch request {
        case .timesteps(let list):
            let checked = try TimestepRequest.checked(
                list, trainTimesteps: flow.trainTimesteps + 1, scheduler: settings.className)
            let single = checked.map { Float($0) }
            given = single
            levels = single.map { Double(flow.shifted($0 / Float(flow.trainTimesteps))) }
        case .sigmas(let list):
            let single = (list.last == 0 ? list.dropLast() : list[...]).map { Float($0) }
            guard !single.isEmpty, single.allSatisfy({ $0 > 0 && $0 <= 1 }) else {
                throw SchedulerError.invalidSchedule(
                    scheduler: settings.className, reason: "the list of sigmas must have values above 0 and up to 1")
            }
            levels = single.map { Double(flow.shifted($0)) }
        default:
            levels = flow.levels(
                count: try request.stepCount(trainTimesteps: flow.trainTimesteps, scheduler: settings.className))
        }
        if let terminal = try settings.optionalNumber("shift_terminal"), let last = levels.last {
            let factor = (1 - last) / (1 - terminal)
            levels = levels.map { 1 - (1 - $0) / factor }
        }
        if method != .timesteps, let first = levels.first, let last = levels.last {
            levels = method.levels(largest: first, smallest: last, count: levels.count)
        }
        guard levels.allSatisfy(\.isFinite) else {
            throw SchedulerError.invalidSchedule(
                scheduler: settings.className, reason: "its noise levels aren't finite: shift_terminal needs more than one step"
            )
        }
        var stored = levels.map { Float($0) }
        let count = Float(flow.trainTimesteps)
        let isInverted = try settings.flag("invert_sigmas")
        if isInverted { stored = stored.map { 1 - $0 } }
        timesteps = isInverted ? stored.map { $0 * count } : given ?? stored.map { $0 * count }
        sigmas = stored + [isInverted ? 1 : 0]
    }

    public var noiseLevels: [NoiseLevel] { sigmas.dropLast().map { NoiseLevel(flow: $0) } }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { addsNoise }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let (sigma, next) = (sigmas[index], sigmas[index + 1])
        state.stepsTaken += 1
        guard addsNoise else {
            let difference = next - sigma
            return combine(sample, modelOutput) { $0 + difference * $1 }
        }
        let original = combine(sample, modelOutput) { $0 - sigma * $1 }
        return weightedSum((1 - next, original), (next, try draw(sample.count, from: noise)))
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try FlowSchedule.addNoise(to: original, noise: noise, at: index, of: self)
    }
}

/// The noise levels of straight paths x = (1 − σ) x_0 + σ ε.
struct FlowSchedule {
    let trainTimesteps: Int
    private let shift: Double
    /// The largest and the smallest noise level of training, shifted.
    private let largest: Float
    private let smallest: Float

    static let parameters = [
        SchedulerParameter(
            "num_train_timesteps", .integer(1...SchedulerParameter.largestTrainTimesteps), default: .integer(1000)),
        SchedulerParameter("shift", .number(1e-6...1e6), default: .number(1)),
    ]

    init(_ settings: SchedulerSettings) throws {
        trainTimesteps = try settings.integer("num_train_timesteps")
        shift = try settings.number("shift")
        let factor = Float(shift)
        let rest = Float(shift - 1)
        let step = 1 / Float(trainTimesteps)
        smallest = factor * step / (1 + rest * step)
        largest = factor / (1 + rest)
    }

    /// σ moved towards the noisy end (Esser et al. 2024, equation 23).
    func shifted(_ sigma: Float) -> Float { Float(shift) * sigma / (1 + Float(shift - 1) * sigma) }

    /// `count` levels from the largest to the smallest, evenly spaced and shifted once more, as in diffusers.
    func levels(count: Int) -> [Double] {
        let total = Double(trainTimesteps)
        return TimestepSpacing.linspace(Double(largest) * total, Double(smallest) * total, count: count)
            .map { timestep in
                let sigma = timestep / total
                return shift * sigma / (1 + (shift - 1) * sigma)
            }
    }

    static func addNoise(to original: [Float], noise: [Float], at index: Int, of scheduler: some Scheduler) throws -> [Float] {
        try scheduler.checkIndex(index)
        try scheduler.checkSameSize(original, noise)
        let sigma = scheduler.sigmas[index]
        return combine(original, noise) { sigma * $1 + (1 - sigma) * $0 }
    }
}
