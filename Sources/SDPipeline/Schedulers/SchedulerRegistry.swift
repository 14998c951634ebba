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
        TCDScheduler.self, UniPCMultistepScheduler.self, DPMSolver2SAncestralScheduler.self, DPMSolver3MSDEScheduler.self,
        DPMSolver2MV2Scheduler.self, DPMSolverFastScheduler.self, RestartScheduler.self,
    ])

    /// A scheduler found by name, with the settings that the name stands for.
    public struct Match: Sendable {
        /// The kind of scheduler.
        public let type: any Scheduler.Type
        /// The settings that the name stands for.
        public let overrides: [String: SchedulerValue]
        /// The noise levels that the name stands for, where they are no setting.
        public let schedule: NamedSchedule?
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
                matches[Self.normalized(name)] = Match(type: type, overrides: [:], schedule: nil)
            }
            for alias in descriptor.aliases {
                matches[Self.normalized(alias.name)] = Match(type: type, overrides: alias.overrides, schedule: nil)
            }
        }
        self.matches = matches
    }

    /// What there is to know about each kind, in the order of ``types``.
    public var descriptors: [SchedulerDescriptor] { types.map { $0.descriptor } }

    /// Finds a scheduler by its diffusers class, with or without `Scheduler`, its short name or an alias, perhaps followed by the name of
    /// noise levels (`karras`, `exponential`, `sgm uniform`, `align your steps`, …). Names are those of diffusers, AUTOMATIC1111's web UI,
    /// ComfyUI, k-diffusion and stable-diffusion.cpp: case, spaces, `-` and `_` don't matter, `pp` behind `dpm` is `++`, and `k_`,
    /// `sample_` and `_gpu` are left out.
    ///
    /// - Throws: ``SchedulerError/unknownScheduler(name:closest:known:)`` with the closest names and all short names;
    ///   ``SchedulerError/refusedScheduler(name:reason:)`` for one that other programs have;
    ///   ``SchedulerError/unknownOption(scheduler:key:known:)`` where the scheduler has no such noise levels.
    public func find(_ name: String) throws -> Match {
        let wanted = Self.normalized(name)
        for candidate in Self.withoutDecoration(wanted) {
            if let match = matches[candidate] { return match }
            if let reason = RefusedSchedulers.reason(for: candidate) {
                throw SchedulerError.refusedScheduler(name: name, reason: reason)
            }
            for suffix in ScheduleSuffix.all where candidate.hasSuffix(suffix.name) {
                let stem = String(candidate.dropLast(suffix.name.count))
                if let match = matches[stem] { return try Self.match(match, with: suffix, name: name) }
                if let reason = RefusedSchedulers.reason(for: stem) {
                    throw SchedulerError.refusedScheduler(name: name, reason: reason)
                }
            }
        }
        throw SchedulerError.unknownScheduler(
            name: name, closest: closest(to: name), known: descriptors.map(\.shortName))
    }

    /// Refuses a name that ``make(_:configuration:request:overrides:)`` would, as far as that can be known without a configuration.
    ///
    /// - Throws: what ``find(_:)`` throws.
    public func check(_ name: String) throws {
        if !Self.isAutomatic(name) { _ = try find(name) }
    }

    /// Whether a name stands for the model's own scheduler: `automatic`, as in AUTOMATIC1111's web UI.
    public static func isAutomatic(_ name: String) -> Bool { normalized(name) == "automatic" }

    private static func match(_ match: Match, with suffix: ScheduleSuffix, name: String) throws -> Match {
        let descriptor = match.descriptor
        let known = descriptor.parameters.map(\.key)
        func with(_ settings: [String: SchedulerValue]) throws -> Match {
            if let key = settings.keys.sorted().first(where: { !known.contains($0) }) {
                if descriptor.takesSigmas, let schedule = NamedSchedule(setting: key) {
                    return Match(type: match.type, overrides: match.overrides, schedule: schedule)
                }
                throw SchedulerError.unknownOption(scheduler: descriptor.className, key: key, known: known)
            }
            return Match(type: match.type, overrides: match.overrides.merging(settings) { $1 }, schedule: nil)
        }
        switch suffix.meaning {
        case .none: return match
        case .settings(let settings): return try with(settings)
        case .refused(let reason): throw SchedulerError.refusedScheduler(name: name, reason: reason)
        case .schedule(.sgmUniform) where !descriptor.takesSigmas:
            // The nearest that whole timesteps have.
            return try with(["timestep_spacing": .text(TimestepSpacing.trailing.rawValue)])
        case .schedule(let schedule):
            _ = try TimestepRequest.named(schedule, steps: 10).accepted(by: descriptor)
            return Match(type: match.type, overrides: match.overrides, schedule: schedule)
        }
    }

    /// Makes a scheduler.
    /// - Parameters:
    ///   - name: the wanted scheduler; nil or `automatic` takes the one that the configuration names. Another than that keeps the
    ///     configuration's betas, prediction type, spacing and whatever else it knows, as diffusers' `from_config`.
    ///   - configuration: the model's `scheduler_config.json`.
    ///   - request: the number of steps, or timesteps, or sigmas.
    ///   - overrides: settings that a person stated, by their diffusers names.
    /// - Throws: ``SchedulerError``.
    public func make(
        _ name: String? = nil, configuration: SchedulerConfiguration, request: TimestepRequest,
        overrides: [String: SchedulerValue] = [:]
    ) throws -> any Scheduler {
        let name = name.flatMap { Self.isAutomatic($0) ? nil : $0 }
        guard let wanted = name ?? configuration.className else {
            throw SchedulerError.unreadableConfiguration(
                path: "scheduler_config.json",
                reason: "it has no _class_name, so name a scheduler: \(descriptors.map(\.shortName).joined(separator: ", "))")
        }
        let match = try find(wanted)
        var (request, overrides, schedule) = (request, overrides, match.schedule)
        if match.descriptor.takesSigmas {
            // Levels that are a setting of other schedulers.
            for key in overrides.keys
            where overrides[key] == .flag(true) && !match.descriptor.parameters.contains(where: { $0.key == key }) {
                guard let named = NamedSchedule(setting: key) else { continue }
                schedule = named
                overrides[key] = nil
            }
        }
        if let schedule, case .steps(let count) = request { request = .named(schedule, steps: count) }
        request = try request.accepted(by: match.descriptor)
        let settings = try SchedulerSettings(
            configuration, for: match.descriptor, overrides: match.overrides.merging(overrides) { _, stated in stated })
        return try match.type.init(settings: settings, request: request)
    }

    /// Up to three names within reach of a typing error, the closest first: one slip in every three characters.
    func closest(to name: String) -> [String] {
        let wanted = Self.withoutClass(Self.normalized(name))
        guard !wanted.isEmpty else { return [] }
        let names = descriptors.flatMap { [$0.shortName, $0.className] + $0.aliases.map(\.name) }
        let ranked = names.map { (name: $0, distance: editDistance(wanted, Self.withoutClass(Self.normalized($0)))) }
            .filter { $0.distance <= max(1, min(wanted.count, $0.name.count) / 3) }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
        return ranked.prefix(3).map(\.name)
    }

    private static func withoutClass(_ name: String) -> String {
        name.hasSuffix("scheduler") ? String(name.dropLast(9)) : name
    }

    /// A name, and the same without what other programs put around it.
    private static func withoutDecoration(_ name: String) -> [String] {
        var names = [name]
        if name.hasSuffix("gpu") { names.append(String(name.dropLast(3))) }
        for prefix in ["sample", "k"] where name.hasPrefix(prefix) {
            names += names.map { normalized(String($0.dropFirst(prefix.count))) }
        }
        return names
    }

    private static func normalized(_ name: String) -> String {
        let plain = String(name.lowercased().filter { $0 != " " && $0 != "-" && $0 != "_" })
        return plain.hasPrefix("dpmpp") ? "dpm++" + plain.dropFirst(5) : plain
    }
}

/// The number of insertions, deletions, replacements and exchanges of neighbours between two names (Damerau 1964, each place changed once).
private func editDistance(_ first: String, _ second: String) -> Int {
    // A name is short; a text of megabytes is no typing error.
    let first = Array(first.prefix(64))
    let second = Array(second.prefix(64))
    var older: [Int] = []
    var row = Array(0...second.count)
    for (i, a) in first.enumerated() {
        var next = [i + 1]
        for (j, b) in second.enumerated() {
            var distance = min(row[j] + (a == b ? 0 : 1), next[j] + 1, row[j + 1] + 1)
            if i > 0, j > 0, a == second[j - 1], first[i - 1] == b { distance = min(distance, older[j - 1] + 1) }
            next.append(distance)
        }
        (older, row) = (row, next)
    }
    return row[second.count]
}
