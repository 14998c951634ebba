import GraphRuntime
import Synchronization

/// A single-precision product with a right factor that was packed before, C = alpha · op(A) · B + start, cut into tiles for the pool.
struct PanelProduct {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var alpha: Float = 1
    var start = PackedProduct.Start.zero
    /// Whether C is a · GELU(b) of the columns a and b that a gated ``layout(n:k:isTransposed:isGated:)`` puts side by side: half as
    /// many as B has. `start` is in the panels' order.
    var isGated = false

    /// How the right factor [k, n] is packed.
    static func layout(n: Int, k: Int, isTransposed: Bool = false, isGated: Bool = false) -> PanelLayout {
        PanelLayout(width: PackedProduct.columns, columns: n, depth: k, isTransposed: isTransposed, isGated: isGated)
    }

    /// - Parameters:
    ///   - panels: as ``layout(n:k:isTransposed:isGated:)`` has them.
    ///   - prepare: called with each tile of C (rows and columns) before the product is added to it.
    /// - Throws: ``TensorError`` where there is no memory to pack A into.
    func run(
        _ a: UnsafePointer<Float>, panels: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, threads: ThreadPool,
        prepare: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void = { _, _ in }
    ) throws(TensorError) {
        guard m > 0, n > 0, k > 0 else { return }
        let lda = transposeA ? m : k
        let failures = Atomic(0)
        let (ldc, columnsPerResult) = isGated ? (n / 2, 2) : (n, 1)
        MatrixTiles(batch: 1, m: m, n: n, k: k, threads: threads.threadCount, columnMultiple: PackedProduct.columns)
            .forEach(threads) { _, rows, columns in
                prepare(rows, columns)
                let isDone = PackedProduct.run(
                    transposeA: transposeA, m: rows.count, n: columns.count, k: k, alpha: alpha,
                    a: a + rows.lowerBound * (transposeA ? 1 : lda), lda: lda, b: .panels(panels + columns.lowerBound * k),
                    start: start.part(rows: rows, columns: columns, step: n), isGated: isGated,
                    c: c + rows.lowerBound * ldc + columns.lowerBound / columnsPerResult, ldc: ldc)
                if !isDone { failures.add(1, ordering: .relaxed) }
            }
        guard failures.load(ordering: .relaxed) == 0 else { throw TensorError("no memory to pack a matrix of \(m)×\(k) into") }
    }
}

extension PackedProduct.Start {
    /// What a part of the product is added to; `step` is from one row of the whole product to the next.
    func part(rows: Range<Int>, columns: Range<Int>, step: Int) -> Self {
        switch self {
        case .zero, .target: self
        case .columns(let values): .columns(values + columns.lowerBound)
        case .rows(let values): .rows(values + rows.lowerBound)
        case .matrix(let values, let offsets):
            .matrix(values + rows.lowerBound * step + columns.lowerBound, columns: offsets.map { $0 + columns.lowerBound })
        }
    }
}
