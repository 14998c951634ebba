/// One key that a scheduler takes from its configuration: its type, its range and its default in that class.
///
/// The defaults are those of the constructors in diffusers 0.35.2. They differ from class to class
/// (`timestep_spacing` is `leading` for DDIM, `linspace` for Euler), so each scheduler lists its own.
public struct SchedulerParameter: Sendable, Equatable {
    /// Type and range of a parameter.
    public enum Kind: Sendable, Equatable {
        /// A whole number in a range.
        case integer(ClosedRange<Int>)
        /// A number in a range.
        case number(ClosedRange<Double>)
        /// True or false.
        case flag
        /// One of these names.
        case choice([String])
        /// A list of numbers, each in a range.
        case numbers(ClosedRange<Double>)
        /// Only `null`: diffusers takes a Python object here.
        case nothing
    }

    /// The key in `scheduler_config.json`.
    public let key: String
    /// What is accepted.
    public let kind: Kind
    /// The value when the configuration doesn't state the key.
    public let defaultValue: SchedulerValue
    /// Whether `null` is a value: it means `defaultValue`.
    public let isOptional: Bool
    /// Choices of related schedulers and what stands for them here, as diffusers replaces them when it converts a configuration.
    public let substitutes: [String: String]

    /// A parameter; each argument is the property of its name.
    public init(
        _ key: String, _ kind: Kind, default defaultValue: SchedulerValue, isOptional: Bool = false,
        substitutes: [String: String] = [:]
    ) {
        self.substitutes = substitutes
        self.key = key
        self.kind = kind
        self.defaultValue = defaultValue
        self.isOptional = isOptional
    }

    /// What is accepted, in words.
    public var expectation: String {
        let values =
            switch kind {
            case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
            case .flag: "true or false"
            case .choice(let names): "one of \(names.joined(separator: ", "))"
            case .numbers(let range): "a list of numbers from \(range.lowerBound) to \(range.upperBound)"
            case .nothing: "null"
            }
        if kind == .nothing { return values }
        return isOptional ? values + ", or null" : values
    }

    /// The value in the parameter's own type.
    /// - Throws: ``SchedulerError/invalidValue(scheduler:key:found:expected:)`` for a wrong type or a value out of range.
    func checked(_ value: SchedulerValue, for scheduler: String) throws(SchedulerError) -> SchedulerValue {
        if value == .absent, isOptional { return defaultValue }
        switch (kind, value) {
        case (.integer(let range), .integer(let number)) where range.contains(number):
            return value
        case (.integer(let range), .number(let number)):
            if let whole = Int(exactly: number), range.contains(whole) { return .integer(whole) }
        case (.number(let range), .integer), (.number(let range), .number):
            if let number = value.asNumber, range.contains(number) { return .number(number) }
        case (.flag, .flag):
            return value
        case (.choice(let names), .text(let name)) where names.contains(name):
            return value
        case (.choice, .text(let name)):
            if let substitute = substitutes[name] { return .text(substitute) }
        case (.numbers(let range), .numbers(let numbers)):
            if let wrong = numbers.first(where: { !range.contains($0) }) {
                throw .invalidValue(
                    scheduler: scheduler, key: key, found: "a list with \(wrong) in it", expected: expectation)
            }
            return value
        default: break
        }
        throw .invalidValue(scheduler: scheduler, key: key, found: value.description, expected: expectation)
    }
}

/// Parameters that several schedulers share.
extension SchedulerParameter {
    /// The largest number of training timesteps accepted: tables of this length are made when a scheduler starts.
    static let largestTrainTimesteps = 1_000_000

    /// `num_train_timesteps`, `beta_start`, `beta_end`, `beta_schedule`, `trained_betas`.
    static func noiseSchedule(schedules: [String]) -> [SchedulerParameter] {
        [
            SchedulerParameter("num_train_timesteps", .integer(1...largestTrainTimesteps), default: .integer(1000)),
            SchedulerParameter("beta_start", .number(0...1), default: .number(0.0001)),
            SchedulerParameter("beta_end", .number(0...1), default: .number(0.02)),
            SchedulerParameter("beta_schedule", .choice(schedules), default: .text("linear")),
            SchedulerParameter("trained_betas", .numbers(0...1), default: .absent, isOptional: true),
        ]
    }

    /// As `noiseSchedule`, with the values of the k-diffusion schedulers and of latent consistency models: β from 0.00085 to 0.012.
    static func latentNoiseSchedule(schedules: [String], default schedule: String = "linear") -> [SchedulerParameter] {
        let defaults: [String: SchedulerValue] = [
            "beta_start": .number(0.00085), "beta_end": .number(0.012), "beta_schedule": .text(schedule),
        ]
        return noiseSchedule(schedules: schedules).map { parameter in
            SchedulerParameter(
                parameter.key, parameter.kind, default: defaults[parameter.key] ?? parameter.defaultValue,
                isOptional: parameter.isOptional)
        }
    }

    /// The parameters of k-diffusion's samplers that diffusers has no class for: those of its other k-diffusion schedulers.
    static let kDiffusion =
        latentNoiseSchedule(schedules: betaSchedules) + [predictionType([.epsilon, .sample, .vPrediction])] + sigmaMethods
        + timestepSpacing(default: .linspace)

    /// The beta schedules that every scheduler knows.
    static let betaSchedules = ["linear", "scaled_linear", "squaredcos_cap_v2"]

    /// `use_karras_sigmas`, `use_exponential_sigmas`, `use_beta_sigmas`.
    static let sigmaMethods = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"].map {
        SchedulerParameter($0, .flag, default: .flag(false), isOptional: true)
    }

    /// `use_flow_sigmas` and `flow_shift`.
    static let flowSigmas = [
        SchedulerParameter("use_flow_sigmas", .flag, default: .flag(false), isOptional: true),
        SchedulerParameter("flow_shift", .number(1e-6...1e6), default: .number(1), isOptional: true),
    ]

    /// `use_dynamic_shifting` and `time_shift_type`, which shift only where a pipeline states how much; those of Stable Diffusion
    /// don't.
    static let dynamicShifting = [
        SchedulerParameter("use_dynamic_shifting", .flag, default: .flag(false)),
        SchedulerParameter("time_shift_type", .choice(["exponential", "linear"]), default: .text("exponential")),
    ]

    static let finalSigmas = SchedulerParameter(
        "final_sigmas_type", .choice(["zero", "sigma_min"]), default: .text("zero"))

    static func solverOrder(_ key: String = "solver_order", largest: Int = 3) -> SchedulerParameter {
        SchedulerParameter(key, .integer(1...largest), default: .integer(2))
    }

    static let lambdaMinClipped = SchedulerParameter(
        "lambda_min_clipped", .number(-.infinity...1e30), default: .number(-.infinity))

    /// `learned` and `learned_range` models answer with twice the channels, the second half of which is left out here.
    static let varianceType = SchedulerParameter(
        "variance_type",
        .choice(["learned", "learned_range", "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"]),
        default: .absent, isOptional: true)

    static func flag(_ key: String, default value: Bool) -> SchedulerParameter {
        SchedulerParameter(key, .flag, default: .flag(value))
    }

    static let rescaleBetasZeroSNR = SchedulerParameter("rescale_betas_zero_snr", .flag, default: .flag(false))

    static func predictionType(_ types: [PredictionType]) -> SchedulerParameter {
        SchedulerParameter("prediction_type", .choice(types.map(\.rawValue)), default: .text("epsilon"))
    }

    /// `timestep_spacing` and `steps_offset`.
    static func timestepSpacing(default spacing: TimestepSpacing) -> [SchedulerParameter] {
        [
            SchedulerParameter(
                "timestep_spacing", .choice(TimestepSpacing.allCases.map(\.rawValue)), default: .text(spacing.rawValue)),
            SchedulerParameter(
                "steps_offset", .integer(-largestTrainTimesteps...largestTrainTimesteps), default: .integer(0)),
        ]
    }

    /// `clip_sample` and `clip_sample_range`.
    static func clipping(default value: Bool) -> [SchedulerParameter] {
        [
            SchedulerParameter("clip_sample", .flag, default: .flag(value)),
            SchedulerParameter("clip_sample_range", .number(0...1e30), default: .number(1)),
        ]
    }

    /// `thresholding`, `dynamic_thresholding_ratio`, `sample_max_value`.
    static let thresholding = [
        SchedulerParameter("thresholding", .flag, default: .flag(false)),
        SchedulerParameter("dynamic_thresholding_ratio", .number(0...1), default: .number(0.995)),
        SchedulerParameter("sample_max_value", .number(1e-30...1e30), default: .number(1)),
    ]

    static func setAlphaToOne(default value: Bool) -> SchedulerParameter {
        SchedulerParameter("set_alpha_to_one", .flag, default: .flag(value))
    }

    /// Keys that the schedulers of diffusers 0.35.2 define. A configuration file written for one of them carries keys
    /// that another doesn't use; these are no reason for a warning.
    static let keysOfAllSchedulers: Set<String> = [
        "algorithm_type", "base_image_seq_len", "base_shift", "beta_end", "beta_schedule", "beta_start", "clip_sample",
        "clip_sample_range", "corrector_order", "disable_corrector", "dynamic_thresholding_ratio", "euler_at_final",
        "final_sigmas_type", "flow_shift", "interpolation_type", "invert_sigmas", "lambda_min_clipped",
        "lower_order_final", "max_image_seq_len", "max_shift", "num_train_timesteps", "original_inference_steps",
        "predict_x0", "prediction_type", "predictor_order", "rescale_betas_zero_snr", "rho", "sample_max_value",
        "set_alpha_to_one", "shift", "shift_terminal", "sigma_data", "sigma_max", "sigma_min", "sigma_schedule",
        "skip_prk_steps", "solver_order", "solver_p", "solver_type", "steps_offset", "stochastic_sampling", "tau_func",
        "thresholding", "time_shift_type", "timestep_scaling", "timestep_spacing", "timestep_type", "trained_betas",
        "use_beta_sigmas", "use_dynamic_shifting", "use_exponential_sigmas", "use_flow_sigmas", "use_karras_sigmas",
        "use_lu_lambdas", "variance_type",
    ]
}
