import Foundation

/// Another seed whose noise is mixed into the noise that a run starts from, for pictures that are nearly the same: AUTOMATIC1111's
/// variation seed ("subseed").
public struct SeedVariation: Sendable, Equatable, Codable {
    /// The other seed. Picture i of a batch, from 0 on, takes it plus i, while all take the same seed of their own.
    public var seed: UInt64
    /// How much of it: 0 leaves the noise as it is, 1 replaces it.
    public var strength: Double

    /// A variation, which is checked when it is used.
    public init(seed: UInt64, strength: Double) {
        self.seed = seed
        self.strength = strength
    }
}

/// Spherical interpolation (Shoemake 1985), which keeps the length that noise has, where a mean of two would be shorter.
enum SphericalInterpolation {
    /// Between the noise of one picture and that of another, as AUTOMATIC1111's web interface does it: the angle is taken of every
    /// column of every channel by itself, and where all are nearly parallel, the mean of both takes its place, from the other end.
    ///
    /// - Parameters:
    ///   - share: 0 for the first, 1 for the second.
    ///   - shape: channels, rows, columns.
    static func columns(_ first: [Float], _ second: [Float], share: Double, shape: (channels: Int, rows: Int, columns: Int))
        -> [Float]
    {
        let (rows, columns) = (shape.rows, shape.columns)
        func places(_ line: Int) -> some Sequence<Int> {
            let start = line / columns * rows * columns + line % columns
            return stride(from: start, to: start + rows * columns, by: columns)
        }
        let cosines = (0..<shape.channels * columns).map { cosine(first, second, places($0)) }
        if cosines.reduce(0, +) / Double(max(cosines.count, 1)) > 0.9995 {
            return zip(first, second).map { Float(Double($0) * share + Double($1) * (1 - share)) }
        }
        var result = first
        for (line, cosine) in cosines.enumerated() {
            let (a, b) = weights(cosine, share)
            for place in places(line) { result[place] = Float(a * Double(first[place]) + b * Double(second[place])) }
        }
        return result
    }

    /// Between two vectors as wholes, and between their lengths.
    ///
    /// - Parameter share: 0 for the first, 1 for the second.
    static func whole(_ first: [Float], _ second: [Float], share: Double) -> [Float] {
        let cosine = cosine(first, second, first.indices)
        guard abs(cosine) < 0.9995 else {
            return zip(first, second).map { Float(Double($0) * (1 - share) + Double($1) * share) }
        }
        let (a, b) = weights(cosine, share)
        return zip(first, second).map { Float(a * Double($0) + b * Double($1)) }
    }

    private static func weights(_ cosine: Double, _ share: Double) -> (first: Double, second: Double) {
        let angle = acos(cosine)
        return (sin((1 - share) * angle) / sin(angle), sin(share * angle) / sin(angle))
    }

    /// 0 for a vector of zeros, which has no direction.
    private static func cosine(_ first: [Float], _ second: [Float], _ places: some Sequence<Int>) -> Double {
        var (product, a, b) = (0.0, 0.0, 0.0)
        for place in places {
            let (x, y) = (Double(first[place]), Double(second[place]))
            (product, a, b) = (product + x * y, a + x * x, b + y * y)
        }
        let length = (a * b).squareRoot()
        return length > 0 ? min(max(product / length, -1), 1) : 0
    }
}
