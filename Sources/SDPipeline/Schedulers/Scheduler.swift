/// A scheduler turns a model's predictions into the next, less noisy sample.
///
/// A scheduler is an immutable value, made for one noise schedule and one sequence of timesteps. What changes during
/// a run is kept in `SchedulerState`, which the caller owns: a run can be stopped, kept, repeated or continued from any
/// step, and one scheduler serves several runs at a time.
///
/// Samples, predictions and noise are flat `[N, C, H, W]` arrays of one size. The arithmetic has the order and the
/// precision of diffusers 0.35.2 (single precision on samples, double where diffusers uses it).
///
/// A run:
/// ```swift
/// var state = scheduler.makeState(batchSize: 1)
/// var sample = noise.map { $0 * scheduler.initNoiseSigma }
/// for index in scheduler.timesteps.indices {
///     let input = try scheduler.scaleModelInput(sample, at: index)
///     let output = model(input, scheduler.timesteps[index])
///     sample = try scheduler.step(output, at: index, sample: sample, state: &state, noise: draw)
/// }
/// ```
public protocol Scheduler: Sendable {
    /// Name, parameters and properties of this kind of scheduler.
    static var descriptor: SchedulerDescriptor { get }

    /// - Parameters:
    ///   - settings: checked settings of this class.
    ///   - request: the number of steps, or the timesteps or sigmas themselves.
    /// - Throws: ``SchedulerError`` where settings contradict each other or the request can't be met.
    init(settings: SchedulerSettings, request: TimestepRequest) throws

    /// The settings that it was made with.
    var settings: SchedulerSettings { get }

    /// The timestep of every evaluation of the model, in order. Whole numbers for most schedulers; Euler's may be
    /// fractions. PNDM evaluates the model more often than it was asked for steps.
    var timesteps: [Float] { get }

    /// The noise level of every step and of the end, for schedulers that work on noise levels; else empty.
    var sigmas: [Float] { get }

    /// Signal and noise of the sample at each evaluation of the model, as many as `timesteps`.
    var noiseLevels: [NoiseLevel] { get }

    /// The standard deviation of the noise that a run starts from.
    var initNoiseSigma: Float { get }

    /// Whether steps with these options draw noise: by the kind of scheduler, its settings, eta or churn.
    func drawsNoise(with options: SchedulerStepOptions) -> Bool

    /// The sample as the model expects it at step `index`.
    func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float]

    /// Whether a run can begin with this evaluation, as it does over an original picture.
    /// - Throws: ``SchedulerError/invalidStep(scheduler:reason:)`` where it needs the ones before.
    func checkStart(at index: Int) throws

    /// One step of the reverse process.
    /// - Parameters:
    ///   - modelOutput: the model's prediction, flat `[N, C, H, W]` (`[N, 2C, H, W]` with a learned variance).
    ///   - index: the index in `timesteps` that the prediction was made for.
    ///   - sample: the current sample, flat `[N, C, H, W]`.
    ///   - state: the run's memory, from `makeState`.
    ///   - options: eta, churn and the like; each scheduler reads those in its descriptor's `stepOptions`.
    ///   - noise: gives that many draws of the standard normal distribution; called only when noise is needed.
    /// - Returns: the sample of the next timestep.
    /// - Throws: ``SchedulerError/invalidStep(scheduler:reason:)`` when sizes or the index don't fit.
    func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float]

    /// The forward process: a clean sample with the noise that belongs to step `index`.
    func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float]
}

extension Scheduler {
    /// The class in diffusers, as ``SchedulerDescriptor/className``.
    public var name: String { Self.descriptor.className }

    /// As ``SchedulerDescriptor/isStochastic`` says, whatever the options.
    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { Self.descriptor.isStochastic }

    /// A new run.
    /// - Parameter batchSize: how many pictures the samples hold; dynamic thresholding looks at each alone.
    public func makeState(batchSize: Int = 1) -> SchedulerState {
        SchedulerState(batchSize: max(1, batchSize))
    }

    /// Schedulers on the variance-preserving scale feed the sample to the model as it is.
    public func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float] { sample }

    public func checkStart(at index: Int) throws {
        try checkIndex(index)
        guard index.isMultiple(of: Self.descriptor.evaluationsPerStep) else { throw startInAStep }
    }

    /// Schedulers that work on timesteps have no noise levels.
    public var sigmas: [Float] { [] }

    public var initNoiseSigma: Float { 1 }

    /// One step of the reverse process with every option at its default: see ``step(_:at:sample:state:options:noise:)``.
    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try step(
            modelOutput, at: index, sample: sample, state: &state, options: SchedulerStepOptions(), noise: noise)
    }

    func checkStep(index: Int, modelOutput: [Float], sample: [Float]) throws {
        try checkIndex(index)
        guard modelOutput.count == sample.count else {
            throw SchedulerError.invalidStep(
                scheduler: name,
                reason: "the model's output has \(modelOutput.count) values and the sample \(sample.count), expected the same")
        }
    }

    /// The first evaluation of a run that starts in the middle, as image-to-image does.
    /// - Parameters:
    ///   - strength: the share of the steps to take, 0 to 1; none are taken with 0, all with 1.
    ///   - steps: the number of steps that the scheduler was made for.
    /// - Returns: an index in `timesteps`, or their number where no step is left.
    public func firstIndex(strength: Double, steps: Int) -> Int {
        let taken = min(max(Int((Double(steps) * min(max(strength, 0), 1)).rounded(.down)), 0), steps)
        return min((steps - taken) * Self.descriptor.evaluationsPerStep, timesteps.count)
    }

    /// The sample that a step of two evaluations started from, for its second one.
    /// - Throws: ``SchedulerError/invalidStep(scheduler:reason:)`` where the first one isn't in the state.
    func heldSample(_ state: SchedulerState) throws -> [Float] {
        guard let held = state.heldSample else {
            throw startInAStep
        }
        return held
    }

    var startInAStep: SchedulerError {
        .invalidStep(
            scheduler: name, reason: "a run can't start with the second evaluation of a step: start at an even index")
    }

    func checkIndex(_ index: Int) throws {
        guard timesteps.indices.contains(index) else {
            throw SchedulerError.invalidStep(
                scheduler: name, reason: "there is no step \(index), there are steps 0 to \(timesteps.count - 1)")
        }
    }

    func draw(_ count: Int, from noise: (Int) throws -> [Float]) throws -> [Float] {
        let values = try noise(count)
        guard values.count == count else {
            throw SchedulerError.invalidStep(
                scheduler: name, reason: "\(values.count) noise values were given, expected \(count)")
        }
        return values
    }

    func checkSameSize(_ original: [Float], _ noise: [Float]) throws {
        guard original.count == noise.count else {
            throw SchedulerError.invalidStep(
                scheduler: name,
                reason: "the noise has \(noise.count) values and the sample \(original.count), expected the same")
        }
    }
}

/// What a run of a scheduler remembers from step to step. A value: copy it to continue from the same step later.
public struct SchedulerState: Sendable, Equatable {
    /// How many pictures the samples hold.
    public let batchSize: Int
    /// Steps taken since the run began. Multistep schedulers start with lower orders until they have a history.
    public internal(set) var stepsTaken = 0
    /// Earlier predictions, the newest last.
    public internal(set) var modelOutputs: [[Float]] = []
    /// The sample that a step of several evaluations started from.
    public internal(set) var heldSample: [Float]?
    /// The weighted sum of the predictions of a step of several evaluations.
    public internal(set) var accumulatedOutput: [Float]?
    /// The noise of the step before, where the next one needs it again.
    public internal(set) var heldNoise: [Float]?
    /// The length in σ of a step of several evaluations.
    public internal(set) var heldDifference: Float?

    /// Puts a prediction at the end of `modelOutputs`, of which the last `count` are kept.
    mutating func remember(_ output: [Float], count: Int) {
        modelOutputs = modelOutputs.suffix(max(count - 1, 0)) + [output]
    }
}

/// Options of a single step. A scheduler reads those that its descriptor lists in `stepOptions`.
public struct SchedulerStepOptions: Sendable, Equatable {
    /// DDIM: 0 is deterministic, 1 has the noise of DDPM, 0 where nil. TCD: the share γ of noise in a step, 0.3 where nil. 0 to 1.
    public var eta: Double?
    /// DDIM: derive the predicted noise again from the clipped prediction of the original. Default false.
    public var useClippedModelOutput = false
    /// Noise added back over the run (S_churn); at least 0. Default 0.
    public var churn = 0.0
    /// No churn below this noise level (S_tmin). Default 0.
    public var churnMinimumSigma = 0.0
    /// No churn above this noise level (S_tmax). Default infinity.
    public var churnMaximumSigma = Double.infinity
    /// The standard deviation of the noise that is added, where it isn't 1 (S_noise). Default 1.
    public var noiseScale = 1.0

    /// Every option at its default.
    public init() {}

    /// Refuses values out of range, and options that the scheduler doesn't have. Call it once before a run.
    /// - Throws: ``SchedulerError/invalidValue(scheduler:key:found:expected:)`` or
    ///   ``SchedulerError/unknownOption(scheduler:key:known:)``.
    public func check(for descriptor: SchedulerDescriptor) throws {
        let defaults = SchedulerStepOptions()
        let stated: [(key: String, isStated: Bool, isValid: Bool, found: String, expected: String)] = [
            ("eta", eta != nil, (0...1).contains(eta ?? 0), "\(eta ?? 0)", "a number from 0 to 1"),
            (
                "use_clipped_model_output", useClippedModelOutput != defaults.useClippedModelOutput, true,
                "\(useClippedModelOutput)", "true or false"
            ),
            ("s_churn", churn != defaults.churn, churn >= 0 && churn.isFinite, "\(churn)", "a number of at least 0"),
            (
                "s_tmin", churnMinimumSigma != defaults.churnMinimumSigma, churnMinimumSigma >= 0,
                "\(churnMinimumSigma)", "a number of at least 0"
            ),
            (
                "s_tmax", churnMaximumSigma != defaults.churnMaximumSigma, churnMaximumSigma >= 0,
                "\(churnMaximumSigma)", "a number of at least 0"
            ),
            (
                "s_noise", noiseScale != defaults.noiseScale, noiseScale >= 0 && noiseScale.isFinite,
                "\(noiseScale)", "a number of at least 0"
            ),
        ]
        for option in stated where option.isStated {
            guard descriptor.stepOptions.contains(option.key) else {
                throw SchedulerError.unknownOption(
                    scheduler: descriptor.className, key: option.key, known: descriptor.stepOptions)
            }
            guard option.isValid else {
                throw SchedulerError.invalidValue(
                    scheduler: descriptor.className, key: option.key, found: option.found, expected: option.expected)
            }
        }
    }
}
