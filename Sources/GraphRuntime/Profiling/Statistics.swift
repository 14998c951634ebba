/// Figures of a sample of measurements.
public struct Statistics: Sendable, Equatable {
    /// How many measurements there are.
    public let count: Int
    /// The arithmetic mean.
    public let mean: Double
    /// The 50th percentile, between the two nearest measurements in proportion.
    public let median: Double
    /// The 95th percentile, between the two nearest measurements in proportion.
    public let p95: Double
    /// The smallest measurement.
    public let minimum: Double
    /// The largest measurement.
    public let maximum: Double
    /// The sample's standard deviation (over n − 1); 0 for fewer than two.
    public let standardDeviation: Double

    /// - Parameter values: in any order and unit; all figures of an empty sample are 0.
    public init(_ values: [Double]) {
        let sorted = values.sorted()
        count = sorted.count
        let mean = sorted.reduce(0, +) / Double(max(sorted.count, 1))
        self.mean = mean
        median = Self.percentile(0.5, ofSorted: sorted)
        p95 = Self.percentile(0.95, ofSorted: sorted)
        minimum = sorted.first ?? 0
        maximum = sorted.last ?? 0
        let squares = sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        standardDeviation = sorted.count > 1 ? (squares / Double(sorted.count - 1)).squareRoot() : 0
    }

    private static func percentile(_ share: Double, ofSorted values: [Double]) -> Double {
        guard let last = values.indices.last else { return 0 }
        let position = share * Double(last)
        let lower = Int(position)
        let upper = min(lower + 1, last)
        return values[lower] + (values[upper] - values[lower]) * (position - Double(lower))
    }
}
