import SDPipeline

/// A sampler by AUTOMATIC1111's name.
struct A1111Sampler: Encodable, Sendable {
    let name: String
    let aliases: [String]
    /// The noise levels that it has by itself.
    let options: [String: String]
    /// The noise levels that it takes where none are asked for; nil for its scheduler's.
    private let automatic: String?

    private init(_ name: String, _ aliases: [String] = [], schedule: String? = nil, isUniform: Bool = false) {
        self.name = name
        self.aliases = aliases
        options = schedule.map { ["scheduler": $0] } ?? [:]
        automatic = schedule ?? (isUniform ? "uniform" : nil)
    }

    private enum CodingKeys: String, CodingKey {
        case name, aliases, options
    }

    /// Those of its version 1.10 that this program has, in its order, with the noise levels that each has where none are asked for
    /// (`modules/sd_samplers_kdiffusion.py` and `sd_samplers_timesteps.py`).
    static let all: [A1111Sampler] = [
        A1111Sampler("DPM++ 2M", ["k_dpmpp_2m"], schedule: "karras"),
        A1111Sampler("DPM++ SDE", ["k_dpmpp_sde"], schedule: "karras"),
        A1111Sampler("DPM++ 2M SDE", ["k_dpmpp_2m_sde"], schedule: "exponential"),
        A1111Sampler("DPM++ 2S a", ["k_dpmpp_2s_a"], schedule: "karras"),
        A1111Sampler("DPM++ 3M SDE", ["k_dpmpp_3m_sde"], schedule: "exponential"),
        A1111Sampler("Euler a", ["k_euler_a", "k_euler_ancestral"], isUniform: true),
        A1111Sampler("Euler", ["k_euler"], isUniform: true), A1111Sampler("LMS", ["k_lms"], isUniform: true),
        A1111Sampler("Heun", ["k_heun"], isUniform: true),
        A1111Sampler("DPM2", ["k_dpm_2"], schedule: "karras"), A1111Sampler("DPM2 a", ["k_dpm_2_a"], schedule: "karras"),
        A1111Sampler("DPM fast", ["k_dpm_fast"]), A1111Sampler("Restart", ["restart"], schedule: "karras"),
        A1111Sampler("DDIM", ["ddim"]), A1111Sampler("PLMS", ["plms"]), A1111Sampler("UniPC", ["unipc"]),
        A1111Sampler("LCM", ["lcm"]),
    ].filter { (try? SchedulerRegistry.standard.find($0.name)) != nil }

    /// The scheduler of a sampler's and a schedule's names: of AUTOMATIC1111, old ones with the schedule behind the sampler (`DPM++ 2M Karras`)
    /// among them, or of this program.
    ///
    /// - Parameter fields: where the names come from, for errors.
    /// - Throws: ``APIError`` 400 for names that nobody knows.
    static func scheduler(
        _ sampler: String, schedule: String?, fields: (sampler: String, schedule: String) = ("sampler_name", "scheduler")
    ) throws -> String {
        let registry = SchedulerRegistry.standard
        guard (try? registry.check(sampler)) != nil else {
            throw APIError(
                .badRequest, "Sampler not found: \(sampler.prefix(60)).", field: fields.sampler, code: "unknown_sampler")
        }
        let schedule = schedule.flatMap { $0.isEmpty || $0.lowercased() == "automatic" ? nil : $0 }
        let lower = sampler.lowercased()
        let known = all.first { $0.name.lowercased() == lower || $0.aliases.contains(lower) }
        guard let wanted = schedule ?? known?.automatic else { return sampler }
        let name = "\(sampler) \(wanted)"
        do {
            _ = try registry.find(name)
            return name
        } catch SchedulerError.unknownScheduler {
            // Whether anyone knows the schedule is tried with one that takes them all.
            guard (try? registry.find("Euler \(wanted)")) != nil else {
                throw APIError(
                    .badRequest, "Scheduler not found: \(wanted.prefix(60)).", field: fields.schedule, code: "unknown_scheduler"
                )
            }
            return sampler
        } catch SchedulerError.refusedScheduler(_, let reason) {
            throw APIError(.badRequest, "Scheduler not supported: \(wanted.prefix(60)), \(reason).", field: fields.schedule)
        } catch {
            // As there, samplers with timesteps of their own leave the schedule out.
            return sampler
        }
    }
}

/// Noise levels by AUTOMATIC1111's names.
struct A1111Schedule: Encodable, Sendable {
    let name: String
    let label: String
    var aliases: [String]?
    var rho = -1.0
    var needsInnerModel = false

    private enum CodingKeys: String, CodingKey {
        case name, label, aliases
        case rho = "default_rho"
        case needsInnerModel = "need_inner_model"
    }

    static let all: [A1111Schedule] = [
        A1111Schedule(name: "automatic", label: "Automatic"),
        A1111Schedule(name: "uniform", label: "Uniform", needsInnerModel: true),
        A1111Schedule(name: "karras", label: "Karras", rho: 7),
        A1111Schedule(name: "exponential", label: "Exponential"),
        A1111Schedule(name: "polyexponential", label: "Polyexponential", rho: 1),
        A1111Schedule(name: "sgm_uniform", label: "SGM Uniform", aliases: ["SGMUniform"], needsInnerModel: true),
        A1111Schedule(name: "kl_optimal", label: "KL Optimal"),
        A1111Schedule(name: "align_your_steps", label: "Align Your Steps"),
        A1111Schedule(name: "simple", label: "Simple", needsInnerModel: true),
        A1111Schedule(name: "normal", label: "Normal", needsInnerModel: true),
        A1111Schedule(name: "ddim", label: "DDIM", needsInnerModel: true),
        A1111Schedule(name: "beta", label: "Beta", needsInnerModel: true),
    ].filter { $0.name == "automatic" || (try? SchedulerRegistry.standard.find("Euler \($0.name)")) != nil }
}
