/// The schedulers that there are, by every name that people know them by.
public struct SchedulerRegistry: Sendable {
    /// All schedulers of this package. A new scheduler is one file and one entry here.
    public static let standard = SchedulerRegistry([
        DDIMScheduler.self, DDIMInverseScheduler.self, DDPMScheduler.self, DEISMultistepScheduler.self,
        DPMSolverMultistepScheduler.self, DPMSolverSinglestepScheduler.self, DPMSolverSDEScheduler.self,
        KDPM2DiscreteScheduler.self, KDPM2AncestralDiscreteScheduler.self, EDMEulerScheduler.self,
        EDMDPMSolverMultistepScheduler.self, EulerDiscreteScheduler.self, EulerAncestralDiscreteScheduler.self,
        FlowMatchEulerDiscreteScheduler.self, FlowMatchHeunDiscreteScheduler.self, HeunDiscreteScheduler.self,
        IPNDMScheduler.self, LCMScheduler.self, LMSDiscreteScheduler.self, PNDMScheduler.self, SASolverScheduler.self,
        TCDScheduler.self, UniPCMultistepScheduler.self,
    ])

    /// A scheduler found by name, with the settings that the name stands for.
    public struct Match: Sendable {
        /// The kind of scheduler.
        public let type: any Scheduler.Type
        /// The settings that the name stands for.
        public let overrides: [String: SchedulerValue]
        /// What there is to know about that kind.
        public var descriptor: SchedulerDescriptor { type.descriptor }
    }

    /// The kinds of scheduler, in the order in which they are listed.
    public let types: [any Scheduler.Type]
    private let matches: [String: Match]

    /// A registry of these kinds; of two with one name the first is found.
    public init(_ types: [any Scheduler.Type]) {
        self.types = types
        var matches: [String: Match] = [:]
        for type in types {
            let descriptor = type.descriptor
            let shortClass = descriptor.className.hasSuffix("Scheduler") ? String(descriptor.className.dropLast(9)) : ""
            for name in [descriptor.className, shortClass, descriptor.shortName] where !name.isEmpty {
                matches[Self.normalized(name)] = Match(type: type, overrides: [:])
            }
            for alias in descriptor.aliases {
                matches[Self.normalized(alias.name)] = Match(type: type, overrides: alias.overrides)
            }
        }
        self.matches = matches
    }

    /// What there is to know about each kind, in the order of ``types``.
    public var descriptors: [SchedulerDescriptor] { types.map { $0.descriptor } }

    /// What may follow a name, as in AUTOMATIC1111's `DPM++ 2M Karras`, and the setting that it stands for.
    private static let suffixes: [(name: String, key: String, value: SchedulerValue)] = [
        ("karras", "use_karras_sigmas", .flag(true)), ("exponential", "use_exponential_sigmas", .flag(true)),
        ("beta", "use_beta_sigmas", .flag(true)), ("sgmuniform", "timestep_spacing", .text("trailing")),
        ("trailing", "timestep_spacing", .text("trailing")),
    ]

    /// Finds a scheduler by its diffusers class, with or without `Scheduler`, its short name or an alias, followed by `karras`,
    /// `exponential`, `beta`, `trailing` or `sgm uniform` where it has that setting. Case, spaces, `-` and `_` don't matter, and `pp`
    /// behind `dpm` is `++`.
    /// - Throws: ``SchedulerError/unknownScheduler(name:closest:known:)`` with the closest names and all short names.
    public func find(_ name: String) throws -> Match {
        let wanted = Self.normalized(name)
        if let match = matches[wanted] { return match }
        for suffix in Self.suffixes where wanted.hasSuffix(suffix.name) {
            guard let match = matches[String(wanted.dropLast(suffix.name.count))],
                match.descriptor.parameters.contains(where: { $0.key == suffix.key })
            else { continue }
            return Match(type: match.type, overrides: match.overrides.merging([suffix.key: suffix.value]) { $1 })
        }
        throw SchedulerError.unknownScheduler(
            name: name, closest: closest(to: name), known: descriptors.map(\.shortName))
    }

    /// Makes a scheduler.
    /// - Parameters:
    ///   - name: the wanted scheduler; nil takes the one that the configuration names. Another than that keeps the
    ///     configuration's betas, prediction type, spacing and whatever else it knows, as diffusers' `from_config`.
    ///   - configuration: the model's `scheduler_config.json`.
    ///   - request: the number of steps, or timesteps, or sigmas.
    ///   - overrides: settings that a person stated, by their diffusers names.
    /// - Throws: ``SchedulerError``.
    public func make(
        _ name: String? = nil, configuration: SchedulerConfiguration, request: TimestepRequest,
        overrides: [String: SchedulerValue] = [:]
    ) throws -> any Scheduler {
        guard let wanted = name ?? configuration.className else {
            throw SchedulerError.unreadableConfiguration(
                path: "scheduler_config.json",
                reason: "it has no _class_name, so name a scheduler: \(descriptors.map(\.shortName).joined(separator: ", "))")
        }
        let match = try find(wanted)
        let request = try request.accepted(by: match.descriptor)
        let settings = try SchedulerSettings(
            configuration, for: match.descriptor, overrides: match.overrides.merging(overrides) { _, stated in stated })
        return try match.type.init(settings: settings, request: request)
    }

    /// Up to three names within reach of a typing error, the closest first.
    func closest(to name: String) -> [String] {
        let wanted = Self.normalized(name)
        let names = descriptors.flatMap { [$0.shortName, $0.className] + $0.aliases.map(\.name) }
        let ranked = names.map { (name: $0, distance: editDistance(wanted, Self.normalized($0))) }
            .filter { $0.distance <= max(2, min(wanted.count, $0.name.count) / 3) }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
        return ranked.prefix(3).map(\.name)
    }

    private static func normalized(_ name: String) -> String {
        let plain = String(name.lowercased().filter { $0 != " " && $0 != "-" && $0 != "_" })
        return plain.hasPrefix("dpmpp") ? "dpm++" + plain.dropFirst(5) : plain
    }
}

/// The number of insertions, deletions and replacements between two names (Levenshtein 1966).
private func editDistance(_ first: String, _ second: String) -> Int {
    // A name is short; a text of megabytes is no typing error.
    let first = Array(first.prefix(64))
    let second = Array(second.prefix(64))
    var row = Array(0...second.count)
    for (i, a) in first.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, b) in second.enumerated() {
            let replaced = diagonal + (a == b ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[second.count]
}
