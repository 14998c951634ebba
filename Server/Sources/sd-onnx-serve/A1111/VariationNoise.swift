import Foundation
import SDPipeline

/// Noise between that of two seeds, as AUTOMATIC1111's `rng.slerp` mixes it: along arcs of the columns, which it normalises over the rows of a
/// channel.
enum VariationNoise {
    /// - Parameter shape: [1, C, h, w].
    static func latents(seed: UInt64, subseed: UInt64, strength: Double, shape: [Int]) throws -> Latents {
        let count = shape.reduce(1, *)
        var (first, second) = (TorchGenerator(seed: seed), TorchGenerator(seed: subseed))
        let values = mixed(
            first.randn(count: count), second.randn(count: count), share: Float(strength), rows: shape[2], columns: shape[3])
        return try Latents(values, shape: shape)
    }

    static func mixed(_ low: [Float], _ high: [Float], share: Float, rows: Int, columns: Int) -> [Float] {
        let channels = low.count / (rows * columns)
        /// The places of a column of a channel.
        func places(_ line: Int) -> [Int] {
            let (channel, column) = (line / columns, line % columns)
            return (0..<rows).map { (channel * rows + $0) * columns + column }
        }
        let cosines = (0..<channels * columns).map { line -> Float in
            let places = places(line)
            let (a, b) = (places.map { low[$0] }, places.map { high[$0] })
            let norms = (a.reduce(0) { $0 + $1 * $1 }.squareRoot(), b.reduce(0) { $0 + $1 * $1 }.squareRoot())
            return zip(a, b).reduce(0) { $0 + $1.0 / norms.0 * ($1.1 / norms.1) }
        }
        if cosines.reduce(0, +) / Float(cosines.count) > 0.9995 {
            return zip(low, high).map { $0 * share + $1 * (1 - share) }
        }
        var result = low
        for (line, cosine) in cosines.enumerated() {
            let angle = Float(acos(Double(cosine)))
            let sine = Float(sin(Double(angle)))
            let (a, b) = (Float(sin(Double((1 - share) * angle))) / sine, Float(sin(Double(share * angle))) / sine)
            for place in places(line) { result[place] = a * low[place] + b * high[place] }
        }
        return result
    }
}
