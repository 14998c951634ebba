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
    private var generators: [any NormalGenerator]
    private let source: NoiseSource
    private let variation: SeedVariation?
    private let variationSeeds: [UInt64]

    /// What a request draws from.
    init(_ request: GenerationRequest) {
        source = request.noiseSource
        variation = request.variation
        let isShared = request.batchSeeds == .shared
        generators = request.seeds.prefix(isShared ? 1 : request.batchCount).map { [source] in source.generator(seed: $0) }
        variationSeeds = Array(request.variationSeeds.prefix(isShared ? 1 : request.batchCount))
    }

    /// Whether all pictures draw from one generator.
    var isShared: Bool { generators.count == 1 }

    /// Whether numbers are drawn in the order of AUTOMATIC1111's web interface.
    var isWebUI: Bool { source.isWebUI }

    /// Standard normal numbers for all pictures, one after the other.
    ///
    /// - Parameter count: a multiple of the number of pictures.
    mutating func normal(count: Int) -> [Float] {
        if generators.count == 1 { return generators[0].randn(count: count) }
        return generators.indices.flatMap { generators[$0].randn(count: count / generators.count) }
    }

    /// The noise that a run starts from, with the variation's.
    ///
    /// - Parameter shape: [N, C, h, w].
    mutating func start(shape: [Int]) -> [Float] {
        let count = shape.reduce(1, *)
        let noise = normal(count: count)
        guard let variation, variation.strength != 0 else { return noise }
        let others = variationSeeds.flatMap { seed in
            var generator = source.generator(seed: seed)
            return generator.randn(count: count / variationSeeds.count)
        }
        let size = count / shape[0]
        return (0..<shape[0]).flatMap { picture in
            let range = picture * size..<(picture + 1) * size
            return SphericalInterpolation.columns(
                Array(noise[range]), Array(others[range]), share: variation.strength, shape: (shape[1], shape[2], shape[3]))
        }
    }
}
