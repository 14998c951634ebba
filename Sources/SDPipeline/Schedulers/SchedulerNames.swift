/// What people write behind a scheduler's name, as in AUTOMATIC1111's `DPM++ 2M Karras`: which noise levels it is to use.
struct ScheduleSuffix {
    enum Meaning {
        /// Nothing: what the program that knows the name takes without one.
        case none
        /// Settings by diffusers' names.
        case settings([String: SchedulerValue])
        /// A schedule that is no setting.
        case schedule(NamedSchedule)
        /// A schedule that isn't built, with the reason.
        case refused(String)
    }

    /// Without spaces, `-` and `_`, in lower case.
    let name: String
    let meaning: Meaning

    private static func spacing(_ spacing: TimestepSpacing, offset: Int? = nil) -> Meaning {
        var settings: [String: SchedulerValue] = ["timestep_spacing": .text(spacing.rawValue)]
        if let offset { settings["steps_offset"] = .integer(offset) }
        return .settings(settings)
    }

    private static let fitted = "its levels are tables that were fitted to one model; \"ays\" is a published one"

    /// The schedules of AUTOMATIC1111's web UI, ComfyUI and stable-diffusion.cpp. Longer names come first, as they may end with shorter ones.
    static let all: [ScheduleSuffix] = [
        .init(name: "automatic", meaning: .none), .init(name: "default", meaning: .none),
        .init(name: "karras", meaning: .settings(["use_karras_sigmas": .flag(true)])),
        // With a ρ of 1, which everyone takes, polyexponential levels are exponential ones.
        .init(name: "exponential", meaning: .settings(["use_exponential_sigmas": .flag(true)])),
        .init(name: "beta", meaning: .settings(["use_beta_sigmas": .flag(true)])),
        .init(name: "sgmuniform", meaning: .schedule(.sgmUniform)),
        .init(name: "ddimuniform", meaning: spacing(.leading, offset: 1)),
        .init(name: "uniform", meaning: spacing(.linspace)), .init(name: "normal", meaning: spacing(.linspace)),
        .init(name: "discrete", meaning: spacing(.linspace)),
        .init(name: "trailing", meaning: spacing(.trailing)), .init(name: "turbo", meaning: spacing(.trailing)),
        .init(name: "ddim", meaning: spacing(.leading, offset: 1)),
        .init(name: "kloptimal", meaning: .schedule(.klOptimal)), .init(name: "simple", meaning: .schedule(.simple)),
        .init(name: "alignyoursteps", meaning: .schedule(.ays)), .init(name: "ays", meaning: .schedule(.ays)),
        .init(name: "alignyoursteps11", meaning: .schedule(.ays)), .init(name: "ays11", meaning: .schedule(.ays)),
        .init(name: "ayssdxl", meaning: .schedule(.aysXL)), .init(name: "laplace", meaning: .schedule(.laplace)),
        .init(name: "alignyoursteps32", meaning: .refused(fitted)), .init(name: "ays32", meaning: .refused(fitted)),
        .init(name: "alignyourstepsgits", meaning: .refused(fitted)), .init(name: "gits", meaning: .refused(fitted)),
        .init(name: "smoothstep", meaning: .refused("\"beta\" gives much the same levels")),
        .init(name: "bongtangent", meaning: .refused("no publication says what it is")),
        .init(name: "linearquadratic", meaning: .refused("it is for models that were trained by flow matching")),
        .init(name: "polyexponential", meaning: .settings(["use_exponential_sigmas": .flag(true)])),
        .init(
            name: "karrasexponential", meaning: .refused("it is a mixture of Karras' and exponential levels: take one of these")
        ),
    ].sorted { $0.name.count > $1.name.count }
}

/// Names of samplers that other programs have and this one hasn't, with the reason.
enum RefusedSchedulers {
    private static let guidance =
        "it needs the prediction without the prompt by itself, and a scheduler here is given the guided one alone"
    private static let unpublished = "it is one of ComfyUI's own"

    /// The reason for a name without spaces, `-` and `_`, in lower case and with `++` for `pp`; nil for a name that nobody knows.
    static func reason(for name: String) -> String? {
        if name.hasSuffix("cfg++") || name.hasSuffix("cfgpp") { return guidance }
        return reasons[name]
    }

    private static let reasons: [String: String] = [
        "dpmadaptive":
            "how often it evaluates the model depends on the pictures on the way, and a run's timesteps are fixed here before "
            + "it begins; dpm-fast is the same solver with a given number",
        "heunpp2": unpublished + "; heun and restart are close", "ersde": unpublished, "seeds2": unpublished,
        "seeds3": unpublished, "gradientestimation": unpublished, "expheun2x0": unpublished,
        "expheun2x0sde": unpublished, "resmultistep": unpublished + "; dpm++2m is close",
        "resmultistepancestral": unpublished, "res2s": unpublished, "res2m": unpublished, "res3s": unpublished,
        "sasolverpece": unpublished + "; sa-solver evaluates the model once a step",
        "ipndmv": "it is lms with approximate weights: take lms, whose weights are exact for steps of any length",
        "eulersmea": unpublished, "eulersmeady": unpublished, "eulerdy": unpublished, "eulernegative": unpublished,
    ]
}
