/// How evaluations of the U-Net are made cheaper by what earlier ones of the same run computed: in part, not at all, or each of these at times.
public struct StepCaching: Sendable, Equatable, LosslessStringConvertible {
    /// The deep part of the U-Net is computed in one of so many evaluations, the shallow part in each (Ma, Fang and Wang 2024, "DeepCache:
    /// Accelerating Diffusion Models for Free", section 3.3, with equal steps; the package DeepCache's `cache_interval` and `cache_branch_id`).
    public struct Deep: Sendable, Equatable {
        /// 1 or more, where 1 computes everything.
        public let interval: Int
        /// The skip connection at which the graph is cut, counted from the output: 0 leaves the last layer of the way up to each evaluation,
        /// larger ones more of the U-Net.
        public let branch: Int
        /// Before this share of the run's evaluations, 0 to below 1, all are computed in full: the first ones decide what is where, and
        /// change most from one to the next.
        public let start: Double

        /// - Parameters:
        ///   - interval: see ``interval``.
        ///   - branch: see ``branch``.
        ///   - start: see ``start``.
        public init(interval: Int, branch: Int = 0, start: Double = 0) {
            (self.interval, self.branch, self.start) = (interval, branch, start)
        }
    }

    /// How the deep part is cached; nil where it isn't.
    public let deep: Deep?
    /// Evaluations are left out where the line through the last two that were computed comes near what the model would predict: their
    /// expected error, relative to the prediction, is at most this, above 0. Never the first two, nor the last; nil where all are computed.
    public let forecastThreshold: Double?

    private init(deep: Deep?, forecastThreshold: Double?) {
        (self.deep, self.forecastThreshold) = (deep, forecastThreshold)
    }

    /// Caches the deep part, see ``Deep``.
    public static func deep(interval: Int, branch: Int = 0, start: Double = 0) -> Self {
        Self(deep: Deep(interval: interval, branch: branch, start: start), forecastThreshold: nil)
    }

    /// Leaves evaluations out, see ``forecastThreshold``. Of those that are computed, the deep part is in one of so many where `deep` is given.
    public static func forecast(threshold: Double, deep: Deep? = nil) -> Self {
        Self(deep: deep, forecastThreshold: threshold)
    }

    /// What ``forecast(threshold:deep:)`` has where nothing is said.
    public static let standardThreshold = 0.05

    /// The largest interval of ``Deep``.
    public static let largestInterval = 1000

    /// Reads `deep:INTERVAL`, `deep:INTERVAL:BRANCH`, `deep:INTERVAL:BRANCH:START`, `forecast` or `forecast:THRESHOLD`, or one of each with a
    /// plus sign between them; nil for anything else.
    public init?(_ description: String) {
        var (deep, threshold): (Deep?, Double?)
        for text in description.split(separator: "+", omittingEmptySubsequences: false) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            switch (parts[0], parts.count) {
            case ("deep", 2...4) where deep == nil:
                guard let interval = Int(parts[1]), let branch = parts.count < 3 ? 0 : Int(parts[2]),
                    let start = parts.count < 4 ? 0 : Double(parts[3])
                else { return nil }
                deep = Deep(interval: interval, branch: branch, start: start)
            case ("forecast", 1...2) where threshold == nil:
                guard let value = parts.count < 2 ? Self.standardThreshold : Double(parts[1]) else { return nil }
                threshold = value
            default: return nil
            }
        }
        self.init(deep: deep, forecastThreshold: threshold)
        guard (try? check()) != nil else { return nil }
    }

    /// As ``init(_:)`` reads it.
    public var description: String {
        let deep = deep.map {
            "deep:\($0.interval)" + ($0.start != 0 ? ":\($0.branch):\($0.start)" : $0.branch != 0 ? ":\($0.branch)" : "")
        }
        return [forecastThreshold.map { "forecast:\($0)" }, deep].compactMap { $0 }.joined(separator: "+")
    }

    /// - Throws: ``PipelineError`` for numbers that mean nothing.
    func check() throws {
        if let deep {
            guard (1...Self.largestInterval).contains(deep.interval), deep.branch >= 0, deep.start >= 0, deep.start < 1 else {
                throw PipelineError(
                    "The cache's interval is \(deep.interval), its branch \(deep.branch) and its start \(deep.start), expected an interval of 1 to \(Self.largestInterval), a branch of 0 or more and a start from 0 to below 1.",
                    kind: .invalidRequest)
            }
        }
        if let forecastThreshold {
            guard forecastThreshold.isFinite, forecastThreshold > 0 else {
                throw PipelineError(
                    "The forecast's threshold is \(forecastThreshold), expected a number above 0.", kind: .invalidRequest)
            }
        }
    }

    /// - Throws: ``PipelineError`` that names the scheduler where evaluations can't be told from earlier ones: noise that is drawn between
    ///   them, and second evaluations of a step at levels of their own, break the line.
    func check(for scheduler: any Scheduler, options: SchedulerStepOptions) throws {
        guard forecastThreshold != nil else { return }
        let (descriptor, draws) = (type(of: scheduler).descriptor, scheduler.drawsNoise(with: options))
        guard draws || descriptor.evaluationsPerStep > 1 else { return }
        throw PipelineError(
            "Forecasts of predictions don't suit the scheduler \(descriptor.shortName), "
                + (draws
                    ? "which draws noise in its steps"
                    : "which evaluates the model \(descriptor.evaluationsPerStep) times a step")
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
