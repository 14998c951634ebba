import GraphRuntime

/// A linear map from a latent's channels to red, green and blue: a fast stand-in for the VAE in intermediate pictures.
///
/// Each VAE has channels of its own, so the map is fitted to the one at hand by least squares: latents of random patches are decoded
/// once, and the mean colour of each latent's pixels is what the map should give.
struct LatentProjection: Sendable {
    /// By colour, a weight for each channel and a constant after them.
    private let weights: [[Double]]
    private let spatialFactor: Int

    /// Latents along each side of the picture that the map is fitted to, and along each side of a patch of one colour.
    private static let side = 16
    private static let patch = 2

    /// - Parameter decode: pixels [3, side · factor, side · factor] of latents [1, channels, side, side].
    init(channels: Int, spatialFactor: Int, decode: (Latents) throws -> [Float]) throws {
        self.spatialFactor = spatialFactor
        let (side, patch) = (Self.side, Self.patch)
        let patches = side / patch
        var generator = TorchGenerator(seed: 0)
        let values = generator.randn(count: channels * patches * patches)
        let latents = (0..<channels * side * side).map { index in
            let (channel, row, column) = (index / (side * side), index / side % side, index % side)
            return values[(channel * patches + row / patch) * patches + column / patch]
        }
        let pixels = try decode(Latents(checked: latents, shape: [1, channels, side, side]))
        let means = Self.blockMeans(pixels, side: side, factor: spatialFactor)
        let samples = (0..<side * side).map { position in
            (0..<channels).map { Double(latents[$0 * side * side + position]) } + [1]
        }
        weights = try (0..<3).map { color in
            try Self.leastSquares(samples, Array(means[color * side * side..<(color + 1) * side * side]))
        }
    }

    /// Pixels [3, height · factor, width · factor] in about -1...1 of latents [1, channels, height, width]; all pixels of a latent are alike.
    func pixels(of latents: Latents) -> [Float] {
        let (height, width, channels) = (latents.height, latents.width, latents.channels)
        let area = height * width
        return weights.flatMap { row -> [Float] in
            let small = (0..<area).map { position in
                Float((0..<channels).reduce(row[channels]) { $0 + row[$1] * Double(latents.values[$1 * area + position]) })
            }
            return (0..<height * spatialFactor).flatMap { y in
                (0..<width * spatialFactor).map { x in small[y / spatialFactor * width + x / spatialFactor] }
            }
        }
    }

    private static func blockMeans(_ pixels: [Float], side: Int, factor: Int) -> [Double] {
        let width = side * factor
        return (0..<3 * side * side).map { index in
            let (color, row, column) = (index / (side * side), index / side % side, index % side)
            var sum = 0.0
            for y in 0..<factor {
                for x in 0..<factor { sum += Double(pixels[(color * width + row * factor + y) * width + column * factor + x]) }
            }
            return sum / Double(factor * factor)
        }
    }

    /// The x that makes |A x − b| least, by the normal equations and Gaussian elimination with row pivots.
    private static func leastSquares(_ rows: [[Double]], _ targets: [Double]) throws -> [Double] {
        let count = rows.first?.count ?? 0
        var system = (0..<count).map { i in
            (0..<count).map { j in rows.reduce(0) { $0 + $1[i] * $1[j] } } + [
                zip(rows, targets).reduce(0) { $0 + $1.0[i] * $1.1 }
            ]
        }
        for column in 0..<count {
            let pivot = (column..<count).max { abs(system[$0][column]) < abs(system[$1][column]) } ?? column
            system.swapAt(column, pivot)
            guard abs(system[column][column]) > 1e-9 else {
                throw PipelineError("The VAE's colours don't follow from its latents: preview through the VAE instead.")
            }
            for row in 0..<count where row != column {
                let factor = system[row][column] / system[column][column]
                for other in column...count { system[row][other] -= factor * system[column][other] }
            }
        }
        let solution = (0..<count).map { system[$0][count] / system[$0][$0] }
        guard solution.allSatisfy(\.isFinite) else {
            throw PipelineError(
                "No finite linear map from latents to colours follows from the VAE's pixels: preview through the VAE instead.",
                kind: .notFinite(component: "vae_decoder"))
        }
        return solution
    }
}
