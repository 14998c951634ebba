import Foundation

/// Noise schedules that aren't a setting of a scheduler's configuration: they stand for a list of noise levels or timesteps.
public enum NamedSchedule: String, Sendable, CaseIterable {
    /// Align Your Steps (Sabour et al. 2024, arXiv:2404.14507) for Stable Diffusion 1.x and 2.x: ten steps, other numbers by
    /// interpolation between the logarithms of their noise levels, as the paper's appendix recommends. diffusers: `AysSchedules`.
    case ays
    /// Quantiles of a Laplace distribution over ln σ with location 0 and scale 0.5 (Hang and Gu 2024, arXiv:2407.03297; k-diffusion's
    /// `get_sigmas_laplace`), between the noise levels of training.
    case laplace

    private static let aysTimesteps = [999.0, 850, 736, 645, 545, 455, 343, 233, 124, 24]
    private static let aysSigmas = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152]

    /// The noise level of each step, descending, and 0.
    /// - Parameters:
    ///   - count: the number of steps, at least 1.
    ///   - largest, smallest: the noise levels of training.
    func sigmas(count: Int, largest: Double, smallest: Double) -> [Double] {
        switch self {
        case .ays:
            let logs = Self.aysSigmas.map { log($0) }
            let positions = TimestepSpacing.linspace(0, Double(logs.count - 1), count: count)
            let values =
                count == logs.count
                ? Self.aysSigmas
                : positions.map { position in
                    let low = min(Int(position), logs.count - 2)
                    return exp(logs[low] + (logs[low + 1] - logs[low]) * (position - Double(low)))
                }
            return values + [0]
        case .laplace:
            let scale = 0.5
            let values = TimestepSpacing.linspace(0, 1, count: count).map { position in
                let side = 0.5 - position
                let sign: Double = side == 0 ? 0 : (side > 0 ? 1 : -1)
                // k-diffusion's 1e-5 keeps the logarithm finite at both ends.
                let logSigma = -scale * sign * log(1 - 2 * abs(side) + 1e-5)
                return min(max(exp(logSigma), smallest), largest)
            }
            return values + [0]
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
        let (smallest, largest) = (exp(Double(logSigmas.first ?? 0)), exp(Double(logSigmas.last ?? 0)))
        return .sigmas(schedule.sigmas(count: count, largest: largest, smallest: smallest))
    }

    /// The request as a kind of scheduler takes it: a named schedule becomes timesteps where that kind takes no noise levels.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` for what it doesn't take, by name.
    func accepted(by descriptor: SchedulerDescriptor) throws -> TimestepRequest {
        let reason: String
        switch self {
        case .steps: return self
        case .timesteps where descriptor.takesTimesteps: return self
        case .sigmas where descriptor.takesSigmas: return self
        case .named where descriptor.takesSigmas: return self
        case .timesteps: reason = "it has no option timesteps: its timesteps follow from the number of steps"
        case .sigmas: reason = "it has no option for a list of sigmas: its noise levels follow from the number of steps"
        case .named(let schedule, let steps):
            if descriptor.takesTimesteps, let list = schedule.timesteps(count: steps) { return .timesteps(list) }
            reason =
                "it has no option sigmas \(schedule.rawValue)"
                + (descriptor.takesTimesteps && schedule == .ays ? " for this number of steps, only for 10" : "")
        }
        throw SchedulerError.invalidSchedule(scheduler: descriptor.className, reason: reason)
    }
}
