/// The names that AUTOMATIC1111's web interface has for a scheduler and its noise levels, and what they stand for.
struct WebUISampler: Sendable, Equatable {
    /// Such as `DPM++ 2M`.
    let name: String
    /// Such as `Karras`; `Automatic` for what its sampler takes by itself.
    let scheduleType: String

    static let automatic = "Automatic"

    /// Of samplers over noise levels, which its schedule types are for, the one that `Automatic` stands for (`modules/sd_samplers_kdiffusion.py`).
    private static let automaticTypes: [String: String] = {
        var result: [String: String] = [:]
        for name in ["Euler a", "Euler", "LMS", "Heun"] { result[name] = "Uniform" }
        for name in ["DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "DPM2", "DPM2 a", "Restart"] { result[name] = "Karras" }
        for name in ["DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"] { result[name] = "Exponential" }
        return result
    }()

    /// Diffusers' classes that are one sampler whatever their settings.
    private static let classNames = [
        "EulerDiscreteScheduler": "Euler", "EulerAncestralDiscreteScheduler": "Euler a", "LMSDiscreteScheduler": "LMS",
        "HeunDiscreteScheduler": "Heun", "KDPM2DiscreteScheduler": "DPM2", "KDPM2AncestralDiscreteScheduler": "DPM2 a",
        "DPMSolver2SAncestralScheduler": "DPM++ 2S a", "DPMSolver3MSDEScheduler": "DPM++ 3M SDE",
        "DPMSolverSDEScheduler": "DPM++ SDE", "DPMSolverFastScheduler": "DPM fast", "RestartScheduler": "Restart",
        "DDIMScheduler": "DDIM", "UniPCMultistepScheduler": "UniPC", "LCMScheduler": "LCM",
        // Of its descendants.
        "DDPMScheduler": "DDPM", "DEISMultistepScheduler": "DEIS", "TCDScheduler": "TCD",
    ]

    private static let settingTypes = [
        "use_karras_sigmas": "Karras", "use_exponential_sigmas": "Exponential", "use_beta_sigmas": "Beta",
        "use_lu_lambdas": "Lu", "use_flow_sigmas": "Flow",
    ]

    private static let namedTypes: [NamedSchedule: String] = [
        .ays: "Align Your Steps", .aysXL: "Align Your Steps", .beta: "Beta", .exponential: "Exponential", .karras: "Karras",
        .klOptimal: "KL Optimal", .laplace: "Laplace", .sgmUniform: "SGM Uniform", .simple: "Simple",
    ]

    init(name: String, scheduleType: String) {
        self.name = name
        self.scheduleType = scheduleType
    }

    /// Its names for what a picture was made with; of a scheduler that it hasn't, the name that this program has.
    init(_ record: GenerationRecord) {
        self.init(
            scheduler: record.scheduler, className: record.schedulerClass, settings: record.schedulerSettings,
            schedule: record.sigmas ?? record.schedule, hasList: record.sigmaList != nil || record.timesteps != nil)
    }

    /// - Parameters:
    ///   - scheduler: this program's name.
    ///   - className: diffusers' class.
    ///   - settings: all of the scheduler's.
    ///   - schedule: a ``NamedSchedule``; nil for none.
    ///   - hasList: whether noise levels or timesteps were listed.
    init(scheduler: String, className: String, settings: [String: SchedulerValue], schedule: String?, hasList: Bool) {
        let name: String
        if let known = Self.classNames[className] {
            name = known
        } else if className == "PNDMScheduler", settings["skip_prk_steps"] == .flag(true) {
            name = "PLMS"
        } else if className == "DPMSolverMultistepScheduler", settings["solver_order"] == .integer(2),
            case .text(let algorithm)? = settings["algorithm_type"], algorithm.hasSuffix("dpmsolver++")
        {
            let isHeun = settings["solver_type"] == .text("heun")
            name = algorithm == "dpmsolver++" ? "DPM++ 2M" : isHeun ? "DPM++ 2M SDE Heun" : "DPM++ 2M SDE"
        } else {
            name = scheduler
        }
        self.name = name
        scheduleType =
            if let named = schedule.flatMap({ NamedSchedule(rawValue: $0) }) {
                Self.namedTypes[named] ?? Self.automatic
            } else if hasList {
                // Lists have a pair of their own.
                Self.automatic
            } else {
                Self.scheduleType(settings, name: name, isOwn: name == scheduler)
            }
    }

    private static func scheduleType(_ settings: [String: SchedulerValue], name: String, isOwn: Bool) -> String {
        if let key = settingTypes.keys.sorted().first(where: { settings[$0] == .flag(true) }) {
            return settingTypes[key] ?? automatic
        }
        // A name of this program's own says the rest.
        guard !isOwn else { return automatic }
        let type =
            switch settings["timestep_spacing"] {
            case .text("trailing"): "SGM Uniform"
            case .text("linspace"): "Uniform"
            case .text("leading"): "DDIM"
            default: automatic
            }
        guard let own = automaticTypes[name] else { return type == "SGM Uniform" ? type : automatic }
        return type == own ? automatic : type
    }

    /// The name by which the registry finds what is meant; nil where there is no such scheduler or it can't have these noise levels.
    var scheduler: String? {
        var plain = name
        var type = scheduleType
        // Before its version 1.9, the noise levels were a part of the name.
        let old = ["Karras", "Exponential"].first { plain.hasSuffix(" \($0)") }
        if let old, type == Self.automatic || type.isEmpty {
            (plain, type) = (String(plain.dropLast(old.count + 1)), old)
        }
        if type.lowercased() == Self.automatic.lowercased() || type.isEmpty { type = Self.automaticTypes[plain] ?? "" }
        for candidate in [type.isEmpty ? plain : "\(plain) \(type)"]
        where (try? SchedulerRegistry.standard.find(candidate)) != nil {
            return candidate
        }
        return nil
    }
}
