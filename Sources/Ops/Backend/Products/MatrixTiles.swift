import GraphRuntime

/// The parts of a batch of products [m, n] that threads compute.
struct MatrixTiles {
    private let batch: Int
    private let m: Int
    private let n: Int
    private let rowStep: Int
    private let columnStep: Int

    /// Below this many multiply-adds a tile costs more to hand out than to compute.
    private static let smallestTile = 1 << 17
    /// As that with fewer than ``ProductKernel/leastRows``.
    private static let smallestTileOfFewRows = 1 << 15
    /// Rows, or columns, of a tile that are enough for what each tile packs anew not to show.
    private static let largestTile = 1024

    /// - Parameter columnMultiple: tiles begin at multiples of so many columns.
    init(batch: Int, m: Int, n: Int, k: Int, threads: Int, columnMultiple: Int = 1) {
        (self.batch, self.m, self.n) = (batch, m, n)
        let parts = Self.parts(batch: batch, m: m, n: n, k: k, threads: threads)
        rowStep = (m + parts.rows - 1) / parts.rows
        let columns = (n + parts.columns - 1) / parts.columns
        columnStep = (columns + columnMultiple - 1) / columnMultiple * columnMultiple
    }

    /// How often to cut the rows and the columns: not at all where the batch keeps all threads busy, otherwise along the longer side,
    /// of large products in more parts than threads, so that one that is held up leaves some to the others.
    private static func parts(batch: Int, m: Int, n: Int, k: Int, threads: Int) -> (rows: Int, columns: Int) {
        let work = Double(m) * Double(n) * Double(max(k, 1))
        let smallestTile = m < ProductKernel.leastRows ? smallestTileOfFewRows : smallestTile
        guard threads > 1, batch < 4 * threads, work >= Double(smallestTile) else { return (1, 1) }
        if batch % threads == 0 { return (1, 1) }
        let parts = max(threads, min(4 * threads, max(m, n) / largestTile / threads * threads))
        let wanted = min(parts, max(Int(work / Double(smallestTile)), 1))
        return m >= n ? (min(wanted, max(m / 8, 1)), 1) : (1, min(wanted, max(n / 16, 1)))
    }

    /// Calls `body` with each part: the product's index in the batch, and its rows and columns.
    func forEach(_ threads: ThreadPool, _ body: @Sendable (_ item: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void) {
        let rowTiles = (m + rowStep - 1) / rowStep
        let columnTiles = (n + columnStep - 1) / columnStep
        threads.forEach(batch * rowTiles * columnTiles) { index in
            let row = index / columnTiles % rowTiles * rowStep
            let column = index % columnTiles * columnStep
            body(
                index / (rowTiles * columnTiles), row..<min(row + rowStep, m), column..<min(column + columnStep, n))
        }
    }
}
