import Foundation

/// Draws the numbers that `numpy.random.RandomState(seed)` draws, in the same order; `numpy.random.seed(seed)` seeds the same generator.
///
/// The source is MT19937. A normal number is one of two that Marsaglia's polar method makes of a point in the unit circle (Marsaglia and
/// Bray, "A convenient method for generating normal variables", SIAM Review 6, 1964): the second one first, and the first one at the
/// next draw, also of another call. NumPy keeps this stream as it is for the sake of old programs (NEP 19).
public struct NumPyGenerator: Sendable {
    private var engine: MersenneTwister
    private var kept: Double?

    /// - Parameter seed: the whole range that `RandomState` takes.
    public init(seed: UInt32) { engine = MersenneTwister(seed: seed) }

    /// `standard_normal(count)`. A negative count draws none.
    public mutating func standardNormal(count: Int) -> [Double] { (0..<max(0, count)).map { _ in nextNormal() } }

    /// `randn(count).astype("float32")`, as pipelines take it.
    public mutating func randn(count: Int) -> [Float] { (0..<max(0, count)).map { _ in Float(nextNormal()) } }

    /// A number of [0, 1) with 53 random bits: `random_sample()`.
    private mutating func nextUniform() -> Double {
        let (high, low) = (engine.next32() >> 5, engine.next32() >> 6)
        return (Double(high) * 0x1p26 + Double(low)) / 0x1p53
    }

    private mutating func nextNormal() -> Double {
        if let value = kept {
            kept = nil
            return value
        }
        while true {
            let (x, y) = (2 * nextUniform() - 1, 2 * nextUniform() - 1)
            let square = x * x + y * y
            guard square < 1, square != 0 else { continue }
            let factor = (-2 * log(square) / square).squareRoot()
            kept = factor * x
            return factor * y
        }
    }
}
