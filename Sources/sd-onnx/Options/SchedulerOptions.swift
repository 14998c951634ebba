import ArgumentParser
import SDPipeline

/// The scheduler and its settings, over those of the model.
struct SchedulerOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("schedule"), .customLong("schedule-type")], parsing: .unconditional,
        help: ArgumentHelp(
            "Noise levels: \(SigmaChoice.names.joined(separator: ", ")), or a list of numbers that ends with 0.",
            valueName: "NAME"),
        transform: SigmaChoice.init)
    var sigmas: SigmaChoice?

    @Option(
        parsing: .unconditional, help: "DDIM: noise of a step, 0 to 1; TCD: its gamma, 0.3 in its paper. (default: 0)",
        transform: OptionValues.number)
    var eta: Double?

    @Option(
        parsing: .unconditional, help: "Noise added back over the run (S_churn), of Euler's and EDM's kinds. (default: 0)",
        transform: OptionValues.number)
    var sChurn: Double?

    @Option(
        parsing: .unconditional, help: "No churn below this noise level (S_tmin). (default: 0)", transform: OptionValues.number)
    var sTmin: Double?

    @Option(
        parsing: .unconditional, help: "No churn above this noise level (S_tmax). (default: none)",
        transform: OptionValues.number)
    var sTmax: Double?

    @Option(
        parsing: .unconditional, help: "Deviation of the noise of churn and DPM++ SDE (S_noise). (default: 1)",
        transform: OptionValues.number)
    var sNoise: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How the timesteps are spread: \(TimestepSpacing.allCases.map(\.rawValue).joined(separator: ", ")). (default: the model's)",
            valueName: "NAME"), transform: OptionValues.word(of: TimestepSpacing.self))
    var timestepSpacing: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What the model predicts: \(PredictionType.allCases.map(\.rawValue).joined(separator: ", ")). (default: the model's)",
            valueName: "NAME"), transform: OptionValues.word(of: PredictionType.self))
    var prediction: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The timesteps themselves, descending, in the place of --steps.", valueName: "999,…"),
        transform: OptionValues.numbers)
    var timesteps: [Double]?

    /// - Throws: `ValidationError` where no scheduler has the name.
    static func check(name: String) throws {
        do { try SchedulerRegistry.standard.check(name) } catch {
            guard SigmaChoice.names.contains(name.lowercased()) else { throw ValidationError("\(error)") }
            throw ValidationError(
                "There is no scheduler \"\(name)\"; noise levels are chosen beside it, with --sigmas \(name.lowercased()).")
        }
    }

    func validate() throws {
        if timesteps != nil, sigmas != nil {
            throw ValidationError("--timesteps and --sigmas both set the noise levels: give one.")
        }
    }

    /// Settings by diffusers' names.
    var overrides: [String: SchedulerValue] {
        var result: [String: SchedulerValue] = [:]
        if case .setting(let key)? = sigmas { result[key] = .flag(true) }
        if let timestepSpacing { result["timestep_spacing"] = .text(timestepSpacing) }
        if let prediction { result["prediction_type"] = .text(prediction) }
        return result
    }

    var stepOptions: SchedulerStepOptions {
        var result = SchedulerStepOptions()
        result.eta = eta
        result.churn = sChurn ?? result.churn
        result.churnMinimumSigma = sTmin ?? result.churnMinimumSigma
        result.churnMaximumSigma = sTmax ?? result.churnMaximumSigma
        result.noiseScale = sNoise ?? result.noiseScale
        return result
    }

    func request(steps: Int) -> TimestepRequest {
        if let timesteps { return .timesteps(timesteps) }
        switch sigmas {
        case .list(let values): return .sigmas(values)
        case .named(let schedule): return .named(schedule, steps: steps)
        case .setting, nil: return .steps(steps)
        }
    }
}

extension SchedulerConfiguration {
    /// Says on standard error which keys of the file no scheduler knows.
    func reportUnknownKeys() {
        guard !unknownKeys.isEmpty else { return }
        StandardStreams.printError(
            "No scheduler knows these keys of scheduler_config.json: \(unknownKeys.joined(separator: ", ")).")
    }
}

/// What `--sigmas` takes.
enum SigmaChoice: Equatable {
    /// A setting of the scheduler.
    case setting(String)
    case named(NamedSchedule)
    case list([Double])

    private static let settings = [
        "karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas",
        "lu": "use_lu_lambdas", "flow": "use_flow_sigmas",
    ]

    static let names = settings.keys.sorted() + NamedSchedule.allCases.map(\.rawValue).filter { settings[$0] == nil }

    init(_ text: String) throws {
        if let key = Self.settings[text.lowercased()] {
            self = .setting(key)
        } else if let schedule = NamedSchedule(rawValue: text.lowercased()) {
            self = .named(schedule)
        } else if let values = try? OptionValues.numbers(text) {
            self = .list(values)
        } else {
            throw OptionValues.Expectation(
                description: "expected one of \(Self.names.joined(separator: ", ")), or numbers such as 14.6,3.9,0.5,0.")
        }
    }
}
