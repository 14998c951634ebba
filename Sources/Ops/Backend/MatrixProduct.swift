import GraphRuntime

/// A product of row-major matrices, C = alpha · op(A) · op(B) + beta · C, cut into tiles for the pool.
struct MatrixProduct<Element: BLASElement> {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var transposeB = false
    var alpha: Element = 1
    var beta: Element = 0
    /// n numbers, each added to a column of C; nil for none. Not together with `alpha` or `beta`.
    var columnBias: UnsafePointer<Element>?
    /// As many numbers as all products have together, each added to an element of theirs; nil for none. Not together with `alpha` or
    /// `beta`.
    var addend: UnsafePointer<Element>?

    private var lda: Int { max(transposeA ? m : k, 1) }
    private var ldb: Int { max(transposeB ? k : n, 1) }

    /// Below this many multiply-adds a tile costs more to hand out than to compute.
    private static var smallestTile: Int { 1 << 17 }

    /// Runs one product for each batch index; `pointers` gives the matrices' first elements.
    ///
    /// - Parameter prepare: called with each tile of C (rows and columns) before the product adds to it, where `beta` isn't 0.
    func run(
        batch: Int, threads: ThreadPool,
        pointers: (Int) -> (a: UnsafePointer<Element>, b: UnsafePointer<Element>, c: UnsafeMutablePointer<Element>),
        prepare: (_ batch: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void = { _, _, _ in }
    ) {
        guard batch > 0, m > 0, n > 0 else { return }
        let (rowTiles, columnTiles) = tiling(batch: batch, threads: threads.threadCount)
        let rowStep = (m + rowTiles - 1) / rowTiles
        let columnStep = (n + columnTiles - 1) / columnTiles
        let tiles = rowTiles * columnTiles
        threads.forEach(batch * tiles) { index in
            let item = index / tiles
            let rowStart = index % tiles / columnTiles * rowStep
            let columnStart = index % columnTiles * columnStep
            guard rowStart < m, columnStart < n else { return }
            let rows = rowStart..<min(rowStart + rowStep, m)
            let columns = columnStart..<min(columnStart + columnStep, n)
            prepare(item, rows, columns)
            let (a, b, c) = pointers(item)
            let left = a + (transposeA ? rows.lowerBound : rows.lowerBound * lda)
            let right = b + (transposeB ? columns.lowerBound * ldb : columns.lowerBound)
            let target = c + rows.lowerBound * n + columns.lowerBound
            if columnBias != nil || addend != nil {
                Element.gemm(
                    transposeA: transposeA, transposeB: transposeB, m: rows.count, n: columns.count, k: k, a: left, lda: lda,
                    b: right, ldb: ldb, columnBias: columnBias.map { $0 + columns.lowerBound },
                    addend: addend.map { $0 + (item * m + rows.lowerBound) * n + columns.lowerBound }, c: target, ldc: n)
            } else {
                Element.gemm(
                    transposeA: transposeA, transposeB: transposeB, m: rows.count, n: columns.count, k: k, alpha: alpha,
                    a: left, lda: lda, b: right, ldb: ldb, beta: beta, c: target, ldc: n)
            }
        }
    }

    /// Rows, or columns, of a tile that are enough for what each tile packs anew not to show.
    private static var largestTile: Int { 1024 }

    /// How often to cut the rows and the columns: not at all where the batch keeps all threads busy, otherwise along the longer side,
    /// of large products in more parts than threads, so that one that is held up leaves some to the others.
    private func tiling(batch: Int, threads: Int) -> (rows: Int, columns: Int) {
        let work = Double(m) * Double(n) * Double(max(k, 1))
        guard threads > 1, batch < 4 * threads, work >= Double(Self.smallestTile) else { return (1, 1) }
        if batch % threads == 0 { return (1, 1) }
        let parts = max(threads, min(4 * threads, max(m, n) / Self.largestTile / threads * threads))
        let wanted = min(parts, max(Int(work / Double(Self.smallestTile)), 1))
        return m >= n ? (min(wanted, max(m / 8, 1)), 1) : (1, min(wanted, max(n / 16, 1)))
    }
}
