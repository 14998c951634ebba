/// Where the pictures of a batch get their random numbers from.
public enum BatchSeeds: String, Sendable, CaseIterable, Codable {
    /// Picture i, from 0 on, has a generator of its own with the seed plus i, modulo 2⁶⁴: each can be made again alone. Of diffusers: a
    /// list of generators.
    case consecutive
    /// All pictures draw from one generator in turn, as with a single generator of diffusers: only the whole batch can be made again.
    case shared

    /// The seed of each picture's generator.
    ///
    /// - Parameters:
    ///   - first: the request's seed.
    ///   - count: pictures, 0 or more.
    public func seeds(first: UInt64, count: Int) -> [UInt64] {
        (0..<max(count, 0)).map { self == .shared ? first : first &+ UInt64($0) }
    }
}

/// The random numbers of a batch.
struct BatchNoise {
    /// One, or one for each picture.
    private var generators: [TorchGenerator]

    init(_ kind: BatchSeeds, seed: UInt64, count: Int) {
        generators = kind.seeds(first: seed, count: kind == .shared ? 1 : count).map { TorchGenerator(seed: $0) }
    }

    /// Whether all pictures draw from one generator.
    var isShared: Bool { generators.count == 1 }

    /// Standard normal numbers for all pictures, one after the other.
    ///
    /// - Parameter count: a multiple of the number of pictures.
    mutating func normal(count: Int) -> [Float] {
        if generators.count == 1 { return generators[0].randn(count: count) }
        return generators.indices.flatMap { generators[$0].randn(count: count / generators.count) }
    }
}
