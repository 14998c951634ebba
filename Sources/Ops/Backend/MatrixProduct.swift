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
    /// m numbers, each added to a row of C; nil for none. Not together with anything else that is added, `alpha` or `transposeA`.
    var rowBias: UnsafePointer<Element>?
    /// n numbers, each added to a column of C; nil for none. Not together with `alpha` or `beta`.
    var columnBias: UnsafePointer<Element>?
    /// As many numbers as all products have together, each added to an element of theirs; nil for none. Not together with `alpha` or
    /// `beta`.
    var addend: UnsafePointer<Element>?

    private var lda: Int { max(transposeA ? m : k, 1) }
    private var ldb: Int { max(transposeB ? k : n, 1) }

    /// Runs one product for each batch index; `pointers` gives the matrices' first elements.
    ///
    /// - Parameter prepare: called with each tile of C (rows and columns) before the product adds to it, where `beta` isn't 0.
    func run(
        batch: Int, threads: ThreadPool,
        pointers: (Int) -> (a: UnsafePointer<Element>, b: UnsafePointer<Element>, c: UnsafeMutablePointer<Element>),
        prepare: (_ batch: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void = { _, _, _ in }
    ) {
        guard batch > 0, m > 0, n > 0 else { return }
        MatrixTiles(batch: batch, m: m, n: n, k: k, threads: threads.threadCount).forEach(threads) { item, rows, columns in
            prepare(item, rows, columns)
            let (a, b, c) = pointers(item)
            let left = a + (transposeA ? rows.lowerBound : rows.lowerBound * lda)
            let right = b + (transposeB ? columns.lowerBound * ldb : columns.lowerBound)
            let target = c + rows.lowerBound * n + columns.lowerBound
            if let rowBias {
                Element.gemm(
                    transposeB: transposeB, m: rows.count, n: columns.count, k: k, a: left, lda: lda, b: right, ldb: ldb,
                    rowBias: rowBias + rows.lowerBound, c: target, ldc: n)
            } else if columnBias != nil || addend != nil {
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
}
