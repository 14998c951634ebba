/// In what parts a network sees a picture.
public struct PictureTiling: Sendable, Equatable {
    /// Pixels along each side of what the network sees at once; nil for the whole picture. Networks with an input of a fixed size see that.
    public var side: Int?
    /// Pixels around the part of a tile that is kept, where the picture goes on.
    ///
    /// Tiles are cut and not blended: where this is as much as the network sees to each side of a pixel, the result is that of the whole
    /// picture, but for rounding; where it is less, seams may show.
    public var overlap: Int

    /// The largest side of a tile.
    public static let largestSide = 8192

    /// Tiles of a size.
    public init(side: Int? = 256, overlap: Int = 16) {
        self.side = side
        self.overlap = overlap
    }
}

/// Tiles of one size that cover a picture.
struct TilePlan: Equatable {
    /// A part of the picture.
    struct Box: Equatable {
        let left: Int
        let top: Int
        let width: Int
        let height: Int
    }

    struct Tile: Equatable {
        /// Where the network's window begins.
        let left: Int
        let top: Int
        /// What is kept of it, in pixels of the picture.
        let kept: Box
    }

    let tileWidth: Int
    let tileHeight: Int
    let tiles: [Tile]

    /// - Parameters:
    ///   - multiple: what the sides of tiles are multiples of, unless they are fixed.
    ///   - fixedWidth: of the network's input.
    ///   - fixedHeight: of the network's input.
    /// - Throws: ``PipelineError`` for tiles that aren't possible.
    init(width: Int, height: Int, tiling: PictureTiling, multiple: Int, fixedWidth: Int?, fixedHeight: Int?) throws {
        let sides = 1...PictureTiling.largestSide
        guard tiling.side.map(sides.contains) ?? true, tiling.overlap >= 0 else {
            throw PipelineError(
                "The tiles are of \(tiling.side ?? 0) pixels with an overlap of \(tiling.overlap), expected 1 to "
                    + "\(PictureTiling.largestSide) pixels and an overlap of 0 or more.", kind: .invalidRequest)
        }
        func side(_ extent: Int, fixed: Int?) throws -> Int {
            if let fixed { return fixed }
            return (min(tiling.side ?? extent, extent) + multiple - 1) / multiple * multiple
        }
        tileWidth = try side(width, fixed: fixedWidth)
        tileHeight = try side(height, fixed: fixedHeight)
        let columns = try Self.spans(width, tile: tileWidth, overlap: tiling.overlap)
        let rows = try Self.spans(height, tile: tileHeight, overlap: tiling.overlap)
        tiles = rows.flatMap { row in
            columns.map { column in
                Tile(
                    left: column.start, top: row.start,
                    kept: Box(
                        left: column.kept.lowerBound, top: row.kept.lowerBound, width: column.kept.count, height: row.kept.count
                    ))
            }
        }
    }

    /// Windows along one axis, and what is kept of each: the cut between two of them lies in the middle of what both see.
    private static func spans(_ extent: Int, tile: Int, overlap: Int) throws -> [(start: Int, kept: Range<Int>)] {
        guard extent > tile else { return [(0, 0..<extent)] }
        guard tile > 2 * overlap else {
            throw PipelineError(
                "Tiles of \(tile) pixels overlap by \(overlap) on each side, which leaves nothing of them: expected an overlap below "
                    + "\((tile + 1) / 2).", kind: .invalidRequest)
        }
        let starts = Array(stride(from: 0, to: extent - tile, by: tile - 2 * overlap)) + [extent - tile]
        let cuts = [0] + zip(starts, starts.dropFirst()).map { ($0 + tile + $1) / 2 } + [extent]
        return starts.indices.map { (starts[$0], cuts[$0]..<cuts[$0 + 1]) }
    }

    /// What the network sees for a tile; beyond the picture its outermost pixels go on.
    func window(of source: Raster, _ tile: Tile) throws -> Raster {
        var result = try Raster(width: tileWidth, height: tileHeight, channels: source.channels, filledWith: 0)
        let channels = source.channels
        for row in 0..<tileHeight {
            let from = min(tile.top + row, source.height - 1) * source.width
            for column in 0..<tileWidth {
                let place = channels * (from + min(tile.left + column, source.width - 1))
                for channel in 0..<channels {
                    result.values[channels * (row * tileWidth + column) + channel] = source.values[place + channel]
                }
            }
        }
        return result
    }
}
