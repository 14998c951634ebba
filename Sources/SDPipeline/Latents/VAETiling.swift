import ONNXLoader

/// Whether a VAE works on a picture in tiles, which takes less memory, and changes colours a little: its normalisations see a tile in the place of
/// the whole.
public enum VAETiling: Sendable, Equatable {
    /// In tiles of the size that the VAE was trained at, or half of it and so on down to 256 pixels, where a whole picture would take more
    /// than three quarters of the machine's memory, or more than ``/GraphRuntime/ResourceLimits/runBytes``; with
    /// ``/GraphRuntime/SessionOptions/savesMemory`` also where it would take more than 1.5 GiB (of a full-size VAE 1024×1024 takes 2.7 GB).
    case automatic
    /// The whole picture at once.
    case off
    /// In tiles of the size that the VAE was trained at, where the picture is larger.
    case on
    /// In tiles of so many pixels along each side, where the picture is larger: a multiple of four latents' pixels, 32 for most models.
    case pixels(Int)

    /// Bytes of values that a VAE takes at most, where it can, in a session that saves memory. SDXL's U-Net takes less than 1 GB at 1024×1024;
    /// smaller tiles would change colours more, and take more time.
    static let savedMemory = 3 << 29
}

/// Tiles of a VAE's work, as diffusers' `AutoencoderKL.tiled_decode` and `tiled_encode` lay them: each overlaps its neighbours by a quarter, over
/// which the one fades into the other.
struct VAETiles: Sendable, Equatable {
    /// Latents along each side of a tile, a multiple of 4; those at the right and at the bottom are smaller.
    let side: Int
    /// Pixels per latent along each side.
    let factor: Int

    private init(side: Int, factor: Int) {
        (self.side, self.factor) = (side, factor)
    }

    /// - Throws: ``PipelineError`` for tiles that can't overlap by a quarter.
    init?(_ tiling: VAETiling, vae: VAEConfiguration) throws(PipelineError) {
        let step = 4 * vae.spatialFactor
        switch tiling {
        case .off: return nil
        case .on, .automatic: side = max(vae.sampleSize / step, 1) * 4
        case .pixels(let pixels):
            guard pixels >= step, pixels.isMultiple(of: step) else {
                throw PipelineError(
                    "The VAE's tiles have \(pixels) pixels, expected a multiple of \(step).", kind: .invalidRequest)
            }
            side = pixels / vae.spatialFactor
        }
        factor = vae.spatialFactor
    }

    /// Pixels along each side of a tile.
    var pixels: Int { side * factor }

    /// Tiles of half the size; nil where they would be of less than 256 pixels.
    var halved: VAETiles? {
        let half = side / 8 * 4
        return half * factor >= 256 ? VAETiles(side: half, factor: factor) : nil
    }

    /// Whether latents of this size take more than one tile.
    func divide(height: Int, width: Int) -> Bool { height > side || width > side }

    /// Pixels [3, H, W] of latents.
    ///
    /// - Parameter decode: pixels of a tile's latents, [1, C, h, w].
    func decode(_ latents: Latents, _ decode: (Latents) throws -> [Float]) throws -> [Float] {
        try assembled(height: latents.height, width: latents.width, scale: factor) { rows, columns in
            let values = Self.part(
                of: latents.values, height: latents.height, width: latents.width, rows: rows, columns: columns)
            return try decode(Latents(checked: values, shape: [1, latents.channels, rows.count, columns.count]))
        }
    }

    /// What an encoder answers, [channels, h, w], to pixels [3, height, width].
    ///
    /// - Parameter encode: the answer to a tile's pixels, with its height and width in pixels.
    func encode(
        _ pixels: [Float], height: Int, width: Int, _ encode: (_ pixels: [Float], _ height: Int, _ width: Int) throws -> [Float]
    ) throws -> [Float] {
        try assembled(height: height / factor, width: width / factor, scale: 1) { rows, columns in
            let rows = rows.lowerBound * factor..<rows.upperBound * factor
            let columns = columns.lowerBound * factor..<columns.upperBound * factor
            let values = Self.part(of: pixels, height: height, width: width, rows: rows, columns: columns)
            return try encode(values, rows.count, columns.count)
        }
    }

    /// Values of a tile, [channels, height, width].
    private struct Tile {
        var values: [Float]
        let height: Int
        let width: Int

        /// Lets the last rows of the tile above fade into the first ones.
        mutating func fade(below other: Tile, over extent: Int) {
            let extent = min(other.height, height, extent)
            let channels = values.count / (height * width)
            for channel in 0..<channels {
                for row in 0..<extent {
                    let (old, new) = Self.shares(row, of: extent)
                    let source = (channel * other.height + other.height - extent + row) * width
                    let target = (channel * height + row) * width
                    for column in 0..<width {
                        values[target + column] = other.values[source + column] * old + values[target + column] * new
                    }
                }
            }
        }

        /// Lets the last columns of the tile to the left fade into the first ones.
        mutating func fade(rightOf other: Tile, over extent: Int) {
            let extent = min(other.width, width, extent)
            let lines = values.count / width
            for column in 0..<extent {
                let (old, new) = Self.shares(column, of: extent)
                for line in 0..<lines {
                    let source = line * other.width + other.width - extent + column
                    let target = line * width + column
                    values[target] = other.values[source] * old + values[target] * new
                }
            }
        }

        private static func shares(_ position: Int, of extent: Int) -> (old: Float, new: Float) {
            let share = Double(position) / Double(extent)
            return (Float(1 - share), Float(share))
        }
    }

    /// Works on tiles from the top left, row by row, and joins what comes of them: [channels, height · scale, width · scale].
    ///
    /// - Parameters:
    ///   - height: in latents, as width.
    ///   - scale: values along each side that come of a latent.
    ///   - work: what comes of a tile, by its rows and columns of latents.
    private func assembled(
        height: Int, width: Int, scale: Int, _ work: (_ rows: Range<Int>, _ columns: Range<Int>) throws -> [Float]
    ) throws -> [Float] {
        let stride = side / 4 * 3
        let (overlap, kept) = (side / 4 * scale, stride * scale)
        let (fullHeight, fullWidth) = (height * scale, width * scale)
        var result: [Float] = []
        var above: [Tile] = []
        for top in Swift.stride(from: 0, to: height, by: stride) {
            let rows = top..<min(top + side, height)
            var line: [Tile] = []
            for (number, left) in Swift.stride(from: 0, to: width, by: stride).enumerated() {
                try Task.checkCancellation()
                let columns = left..<min(left + side, width)
                var tile = Tile(
                    values: try work(rows, columns), height: rows.count * scale, width: columns.count * scale)
                if top > 0 { tile.fade(below: above[number], over: overlap) }
                if let last = line.last { tile.fade(rightOf: last, over: overlap) }
                line.append(tile)
                let channels = tile.values.count / (tile.height * tile.width)
                if result.isEmpty {
                    try LargeArray.ask(bytes: 4 * channels * fullHeight * fullWidth)
                    result = [Float](repeating: 0, count: channels * fullHeight * fullWidth)
                }
                for channel in 0..<channels {
                    for row in 0..<min(tile.height, kept) {
                        let source = (channel * tile.height + row) * tile.width
                        let target = (channel * fullHeight + top * scale + row) * fullWidth + left * scale
                        let count = min(tile.width, kept)
                        result.replaceSubrange(target..<target + count, with: tile.values[source..<source + count])
                    }
                }
            }
            above = line
        }
        return result
    }

    /// A rectangle of planes [channels, height, width].
    private static func part(
        of values: [Float], height: Int, width: Int, rows: Range<Int>, columns: Range<Int>
    ) -> [Float] {
        let channels = values.count / (height * width)
        var result: [Float] = []
        result.reserveCapacity(channels * rows.count * columns.count)
        for channel in 0..<channels {
            for row in rows {
                let start = (channel * height + row) * width
                result += values[start + columns.lowerBound..<start + columns.upperBound]
            }
        }
        return result
    }
}
