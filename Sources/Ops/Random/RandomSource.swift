import Foundation
import GraphRuntime

/// Numbers that a seed determines: SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom Number Generators",
/// OOPSLA 2014).
struct RandomSource {
    private var state: UInt64

    /// - Parameter seed: the operator's attribute; nil for one of the system's.
    init(seed: Float?) {
        state = seed.map { UInt64($0.bitPattern) } ?? UInt64.random(in: 0...UInt64.max)
    }

    /// - Parameter seed: likewise, where it is a whole number.
    init(seed: Int?) { state = seed.map { UInt64(bitPattern: Int64($0)) } ?? UInt64.random(in: 0...UInt64.max) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In 0..<1, of 53 bits.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Two numbers of the standard normal distribution (G. Box and M. Muller, "A Note on the Generation of Random Normal
    /// Deviates", 1958).
    mutating func normalPair() -> (Double, Double) {
        // 1 - uniform() is in 0 exclusive to 1, where the logarithm is finite.
        let radius = (-2 * log(1 - uniform())).squareRoot()
        let angle = 2 * Double.pi * uniform()
        return (radius * cos(angle), radius * sin(angle))
    }
}

/// A distribution of two parameters.
enum Distribution: Sendable {
    case normal(mean: Double, scale: Double)
    case uniform(low: Double, high: Double)
}

/// Fills y with independent random numbers.
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func fillRandomly(_ y: MutableTensor, _ distribution: Distribution, seed: Float?, threads: ThreadPool) throws {
    var source = RandomSource(seed: seed)
    var values: [Double] = []
    values.reserveCapacity(y.count + 1)
    switch distribution {
    case .normal(let mean, let scale):
        while values.count < y.count {
            let (first, second) = source.normalPair()
            values.append(mean + scale * first)
            values.append(mean + scale * second)
        }
        values.removeLast(values.count - y.count)
    case .uniform(let low, let high):
        for _ in 0..<y.count { values.append(low + (high - low) * source.uniform()) }
    }
    try cast(Tensor(values, shape: y.shape), into: y, threads: threads)
}
