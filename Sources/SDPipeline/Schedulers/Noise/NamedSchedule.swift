import Foundation

/// Noise schedules that aren't a setting of a scheduler's configuration: they stand for a list of noise levels or timesteps.
public enum NamedSchedule: String, Sendable, CaseIterable {
    /// Align Your Steps (Sabour et al. 2024, arXiv:2404.14507) for Stable Diffusion 1.x and 2.x: the authors' levels of ten steps and their
    /// end, other numbers by interpolation between the logarithms, as they recommend; the last becomes 0. diffusers: `AysSchedules`.
    case ays
    /// Align Your Steps for Stable Diffusion XL.
    case aysXL = "ays-sdxl"
    /// Those of `use_beta_sigmas`, between the noise levels of training, for schedulers without that setting.
    case beta
    /// Those of `use_exponential_sigmas`, likewise.
    case exponential
    /// Those of `use_karras_sigmas`, likewise.
    case karras
    /// Levels whose arc tangents are even, from the largest to the smallest of training (Sabour et al. 2024, theorem 3.1: the least
    /// divergence for data of one point). ComfyUI: `kl_optimal`.
    case klOptimal = "kl-optimal"
    /// Quantiles of a Laplace distribution over ln σ with location 0 and scale 0.5 (Hang and Gu 2024, arXiv:2407.03297; k-diffusion's
    /// `get_sigmas_laplace`), between the noise levels of training.
    case laplace
    /// Levels at even, fractional timesteps from the last one on, one step's distance above 0. AUTOMATIC1111: `SGM Uniform`.
    case sgmUniform = "sgm-uniform"
    /// The level of every k-th training timestep from the last one on, k as near as whole timesteps allow. ComfyUI: `simple`.
    case simple

    private static let aysTimesteps = [999.0, 850, 736, 645, 545, 455, 343, 233, 124, 24]
    /// research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html
    private static let aysSigmas = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
    private static let aysXLSigmas = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]

    /// The noise level of each step, descending, and 0.
    /// - Parameters:
    ///   - count: the number of steps, at least 1.
    ///   - logSigmas: logarithms of the training timesteps' noise levels, ascending; at least one.
    func sigmas(count: Int, logSigmas: [Float]) -> [Double] {
        let (smallest, largest) = (exp(Double(logSigmas.first ?? 0)), exp(Double(logSigmas.last ?? 0)))
        let levels: [Double]
        switch self {
        case .ays: levels = Self.interpolated(Self.aysSigmas, count: count)
        case .aysXL: levels = Self.interpolated(Self.aysXLSigmas, count: count)
        case .beta: levels = SigmaSchedule.beta.levels(largest: largest, smallest: smallest, count: count)
        case .exponential: levels = SigmaSchedule.exponential.levels(largest: largest, smallest: smallest, count: count)
        case .karras: levels = SigmaSchedule.karras.levels(largest: largest, smallest: smallest, count: count)
        case .klOptimal:
            levels = TimestepSpacing.linspace(0, 1, count: count).map { tan($0 * atan(smallest) + (1 - $0) * atan(largest)) }
        case .laplace:
            let scale = 0.5
            levels = TimestepSpacing.linspace(0, 1, count: count).map { position in
                let side = 0.5 - position
                let sign: Double = side == 0 ? 0 : (side > 0 ? 1 : -1)
                // k-diffusion's 1e-5 keeps the logarithm finite at both ends.
                let logSigma = -scale * sign * log(1 - 2 * abs(side) + 1e-5)
                return min(max(exp(logSigma), smallest), largest)
            }
        case .sgmUniform:
            levels = TimestepSpacing.linspace(Double(logSigmas.count - 1), 0, count: count + 1).dropLast()
                .map { exp(SigmaSchedule.interpolate(logSigmas, at: $0)) }
        case .simple:
            let distance = Double(logSigmas.count) / Double(count)
            levels = (0..<count).map { exp(Double(logSigmas[logSigmas.count - 1 - Int(Double($0) * distance)])) }
        }
        return levels + [0]
    }

    /// The first `count` of `count` + 1 levels that are even in the logarithms between those of a table.
    private static func interpolated(_ table: [Double], count: Int) -> [Double] {
        guard count != table.count - 1 else { return table.dropLast() }
        let logs = table.map { log($0) }
        return TimestepSpacing.linspace(0, Double(logs.count - 1), count: count + 1).dropLast().map { position in
            let low = min(Int(position), logs.count - 2)
            return exp(logs[low] + (logs[low + 1] - logs[low]) * (position - Double(low)))
        }
    }

    /// The schedule that a setting stands for.
    init?(setting key: String) {
        switch key {
        case "use_beta_sigmas": self = .beta
        case "use_exponential_sigmas": self = .exponential
        case "use_karras_sigmas": self = .karras
        default: return nil
        }
    }

    /// The whole timestep of each step for schedulers that are given timesteps; nil where the schedule has none for this number.
    func timesteps(count: Int) -> [Double]? {
        self == .ays && count == Self.aysTimesteps.count ? Self.aysTimesteps : nil
    }
}

extension TimestepRequest {
    /// A named schedule as the noise levels that it stands for; other requests as they are.
    func resolved(logSigmas: [Float], scheduler: String) throws -> TimestepRequest {
        guard case .named(let schedule, let steps) = self else { return self }
        let count = try TimestepRequest.steps(steps).stepCount(trainTimesteps: logSigmas.count, scheduler: scheduler)
        return .sigmas(schedule.sigmas(count: count, logSigmas: logSigmas))
    }

    /// The request as a kind of scheduler takes it: a named schedule becomes timesteps where that kind takes no noise levels.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` for what it doesn't take, by name.
    func accepted(by descriptor: SchedulerDescriptor) throws -> TimestepRequest {
        let reason: String
        switch self {
        case .steps: return self
        case .timesteps where descriptor.takesTimesteps: return self
        case .sigmas where descriptor.takesSigmas: return self
        case .named where descriptor.takesSigmas && descriptor.modelKind != .flow: return self
        case .timesteps: reason = "it has no option timesteps: its timesteps follow from the number of steps"
        case .sigmas: reason = "it has no option for a list of sigmas: its noise levels follow from the number of steps"
        case .named(let schedule, _) where descriptor.modelKind == .flow:
            reason =
                "\(schedule.rawValue) stands for noise levels of models that were trained by diffusion, and its own go from 1 to 0 "
                + "along straight paths"
        case .named(let schedule, let steps):
            if descriptor.takesTimesteps, let list = schedule.timesteps(count: steps) { return .timesteps(list) }
            reason =
                "it has no option sigmas \(schedule.rawValue)"
                + (descriptor.takesTimesteps && schedule == .ays ? " for this number of steps, only for 10" : "")
        }
        throw SchedulerError.invalidSchedule(scheduler: descriptor.className, reason: reason)
    }
}
