import GraphRuntime

/// A product of row-major matrices, C = alpha · op(A) · op(B) + start, cut into tiles for the pool.
@safe
struct MatrixProduct<Element: BLASElement>: @unchecked Sendable {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var transposeB = false
    var alpha: Element = 1
    /// Matrices that are added lie one after the other, as the products do.
    var start = unsafe ProductStart<Element>.zero
    var precision = Precision.single

    private var lda: Int { max(transposeA ? m : k, 1) }
    private var ldb: Int { max(transposeB ? k : n, 1) }

    /// Runs one product for each batch index; `pointers` gives the matrices' first elements.
    func run(
        batch: Int, threads: ThreadPool,
        pointers: @Sendable (Int) -> (a: UnsafePointer<Element>, b: UnsafePointer<Element>, c: UnsafeMutablePointer<Element>)
    ) {
        guard batch > 0, m > 0, n > 0 else { return }
        MatrixTiles(batch: batch, m: m, n: n, k: k, threads: threads.threadCount).forEach(threads) {
            item, rows, columns in
            let (a, b, c) = unsafe pointers(item)
            unsafe GEMM(
                transposeA: transposeA, transposeB: transposeB, m: rows.count, n: columns.count, k: k, alpha: alpha,
                a: a + (transposeA ? rows.lowerBound : rows.lowerBound * lda), lda: lda,
                b: b + (transposeB ? columns.lowerBound * ldb : columns.lowerBound), ldb: ldb,
                start: start.shifted(by: item * m * n).part(rows: rows, columns: columns, step: n),
                c: c + rows.lowerBound * n + columns.lowerBound, ldc: n, precision: precision
            ).run()
        }
    }
}
