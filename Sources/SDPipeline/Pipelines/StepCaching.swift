/// How evaluations of the U-Net are made cheaper by what earlier ones of the same run computed.
public enum StepCaching: Sendable, Equatable, LosslessStringConvertible {
    /// The deep part of the U-Net is computed in one of so many evaluations, the shallow part in each (Ma, Fang and Wang 2024, "DeepCache:
    /// Accelerating Diffusion Models for Free", section 3.3, with equal steps; the package DeepCache's `cache_interval` and `cache_branch_id`).
    ///
    /// `interval` is 1 or more, where 1 computes everything. `branch` counts the skip connections from the output: 0 leaves the last
    /// layer of the way up to each evaluation, larger ones more of the U-Net. Before the share `start` of the run's evaluations, 0 to below
    /// 1, all are computed in full: the first ones decide what is where, and change most from one to the next.
    case deep(interval: Int, branch: Int = 0, start: Double = 0)
    /// Evaluations are left out where the line through the last two that were computed comes near what the model would predict: their
    /// expected error, relative to the prediction, is at most `threshold`, above 0. Never the first two, nor the last.
    case forecast(threshold: Double)

    /// What ``forecast(threshold:)`` has where nothing is said.
    public static let standardThreshold = 0.05

    /// The largest interval of ``deep(interval:branch:start:)``.
    public static let largestInterval = 1000

    /// Reads `deep:INTERVAL`, `deep:INTERVAL:BRANCH`, `deep:INTERVAL:BRANCH:START`, `forecast` or `forecast:THRESHOLD`; nil for anything else.
    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.count) {
        case ("deep", 2...4):
            guard let interval = Int(parts[1]), let branch = parts.count < 3 ? 0 : Int(parts[2]),
                let start = parts.count < 4 ? 0 : Double(parts[3])
            else { return nil }
            self = .deep(interval: interval, branch: branch, start: start)
        case ("forecast", 1): self = .forecast(threshold: Self.standardThreshold)
        case ("forecast", 2):
            guard let threshold = Double(parts[1]) else { return nil }
            self = .forecast(threshold: threshold)
        default: return nil
        }
        guard (try? check()) != nil else { return nil }
    }

    /// As ``init(_:)`` reads it.
    public var description: String {
        switch self {
        case .deep(let interval, let branch, let start):
            "deep:\(interval)" + (start != 0 ? ":\(branch):\(start)" : branch != 0 ? ":\(branch)" : "")
        case .forecast(let threshold): "forecast:\(threshold)"
        }
    }

    /// - Throws: ``PipelineError`` for numbers that mean nothing.
    func check() throws {
        switch self {
        case .deep(let interval, let branch, let start):
            guard (1...Self.largestInterval).contains(interval), branch >= 0, start >= 0, start < 1 else {
                throw PipelineError(
                    "The cache's interval is \(interval), its branch \(branch) and its start \(start), expected an interval of 1 to \(Self.largestInterval), a branch of 0 or more and a start from 0 to below 1.",
                    kind: .invalidRequest)
            }
        case .forecast(let threshold):
            guard threshold.isFinite, threshold > 0 else {
                throw PipelineError(
                    "The forecast's threshold is \(threshold), expected a number above 0.", kind: .invalidRequest)
            }
        }
    }

    /// - Throws: ``PipelineError`` that names the scheduler where evaluations can't be told from earlier ones: noise that is drawn between
    ///   them, and second evaluations of a step at levels of their own, break the line.
    func check(for scheduler: SchedulerDescriptor, eta: Double?) throws {
        guard case .forecast = self else { return }
        let draws = scheduler.isStochastic || (eta ?? 0) > 0
        guard draws || scheduler.evaluationsPerStep > 1 else { return }
        throw PipelineError(
            "Forecasts of predictions don't suit the scheduler \(scheduler.shortName), "
                + (draws
                    ? "which draws noise at each step"
                    : "which evaluates the model \(scheduler.evaluationsPerStep) times a step")
                + ": expected one such as dpm++2m or euler, or another way of caching.", kind: .invalidRequest)
    }
}

extension StepCaching: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no way of caching steps")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
