import Foundation

/// The part of a run in which the negative prompt counts (Kynkäänniemi et al. 2024, "Applying Guidance in a Limited Interval Improves Sample and
/// Distribution Quality in Diffusion Models"): outside of it the model predicts for the prompt alone, which is half as many rows.
public struct GuidanceInterval: Sendable, Equatable, Codable, LosslessStringConvertible {
    /// The share of the run's evaluations that come before it, 0 to 1.
    public var start: Double
    /// The share of the run's evaluations after which it ends, above ``start`` and at most 1.
    public var end: Double

    /// An interval; each parameter is the property of its name.
    public init(start: Double, end: Double) {
        self.start = start
        self.end = end
    }

    /// Reads `START,END`, such as `0.1,0.8`: two shares from 0 to 1, the first below the second. Nil for anything else.
    public init?(_ description: String) {
        let shares = description.split(separator: ",", omittingEmptySubsequences: false).map {
            Double($0.trimmingCharacters(in: .whitespaces))
        }
        guard shares.count == 2, let start = shares[0], let end = shares[1] else { return nil }
        self.init(start: start, end: end)
        guard (try? check()) != nil else { return nil }
    }

    /// As ``init(_:)`` reads it.
    public var description: String { "\(start),\(end)" }

    /// Whether an evaluation lies in it.
    ///
    /// - Parameters:
    ///   - index: from 0 on.
    ///   - count: of the whole run.
    func contains(_ index: Int, of count: Int) -> Bool {
        let share = Double(index) / Double(max(count, 1))
        return share >= start && share < end
    }

    /// - Throws: ``PipelineError`` for shares that make no interval.
    func check() throws {
        guard start >= 0, start < end, end <= 1 else {
            throw PipelineError(
                "Guidance begins at \(start) of the run and ends at \(end), expected shares from 0 to 1, the first below the second.",
                kind: .invalidRequest)
        }
    }
}
