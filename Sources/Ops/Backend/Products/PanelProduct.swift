import GraphRuntime
import Synchronization

/// A product of float32 with a right factor that was packed before, C = alpha · op(A) · B + start, cut into tiles for the pool.
@safe
struct PanelProduct: @unchecked Sendable {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    /// Floats from one row of A to the next, of rows that overlap or aren't neighbours; nil for one behind the other.
    var rowStep: Int?
    var alpha: Float = 1
    var start = unsafe ProductStart<Float>.zero
    /// Whether C is a · GELU(b) of the columns a and b that a gated ``layout(n:k:isTransposed:isGated:precision:)`` puts side by
    /// side: half as many as B has. `start` is in the panels' order.
    var isGated = false
    /// Whether that GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast = false
    /// Whether C is written as its transpose, see ``DynamicProduct/turnsResult``: with panels of bytes only.
    var turnsResult = false

    /// Columns of a panel.
    static let columns = unsafe PackedProduct.columns

    /// Columns of a right factor of which each thread reads several panels at once.
    private static let fewestRowColumns = 256
    /// Numbers of a right factor that a last-level cache keeps.
    private static let largestRowFactor = 4 << 20

    /// How the right factor [k, n] is packed.
    static func layout(
        n: Int, k: Int, isTransposed: Bool = false, isGated: Bool = false, precision: ProductPrecision = .single
    ) -> PanelLayout {
        unsafe PanelLayout(
            width: PackedProduct.columns, columns: n, depth: k, isTransposed: isTransposed, isGated: isGated,
            precision: precision)
    }

    /// The right factor in panels, where it is a constant that is worth packing once.
    ///
    /// - Parameter factor: [k, n], or its transpose.
    static func packed(
        _ factor: Tensor, m: Int, n: Int, k: Int, isTransposed: Bool = false, isGated: Bool = false, plan: PlanContext
    ) -> PackedFactor? {
        guard let constants = plan.constants, unsafe PackedProduct.isPreferredForPanels(n: n, k: k) else { return nil }
        var precision = ProductPrecision(m: m, n: n, k: k, weights: factor.dtype, plan: plan)
        if m < ProductKernel.leastRows {
            // What takes little time is computed as exactly as it can be, and where memory is saved on weights, read as they lie. So are
            // rows of weights by a single one, where panels are too few to be read side by side, or come from memory all the same.
            guard plan.weights == .stored,
                m > 1 || !isTransposed || (n >= fewestRowColumns && n * k <= largestRowFactor)
            else { return nil }
            precision = ProductPrecision(.single, isPacked: true, weights: factor.dtype)
        }
        return layout(n: n, k: k, isTransposed: isTransposed, isGated: isGated, precision: precision)
            .packed(factor, constants: constants)
    }

    /// The shape of a left factor of float32, and a right factor that is a constant, of the first two inputs of a node.
    static func constantFactor(_ inputs: [Fact?]) -> (left: Shape, right: Tensor)? {
        guard inputs.count > 1, let left = inputs[0], left.dtype == .float32, let shape = left.shape,
            let right = inputs[1]?.tensor
        else { return nil }
        return (shape, right)
    }

    /// - Parameter panels: as ``layout(n:k:isTransposed:isGated:precision:)`` has them.
    /// - Throws: ``TensorError`` where there is no memory to pack A into.
    func run(
        _ a: UnsafePointer<Float>, panels: PackedPanels, _ c: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        guard m > 0, n > 0, k > 0 else { return }
        let lda = rowStep ?? (transposeA ? m : k)
        let failures = Atomic(0)
        let (ldc, columnsPerResult) = isGated ? (n / 2, 2) : (n, 1)
        nonisolated(unsafe) let a = unsafe a
        nonisolated(unsafe) let c = unsafe c
        let precision = panels.precision
        let panelRows = precision.panelRows(depth: k)
        nonisolated(unsafe) let panels = unsafe try panels.pointer()
        if precision == .int8 {
            return unsafe try DynamicProduct(
                m: m, n: n, k: k, transposeA: transposeA, alpha: alpha, start: start, isGated: isGated, halvesLast: halvesLast,
                turnsResult: turnsResult
            ).run(a, panels: panels, c, threads: threads)
        }
        if precision == .int4Weights, let rows = unsafe bitRows(panels) {
            return unsafe try rows.run(a, rows: m, start, c, threads: threads)
        }
        unsafe MatrixTiles(batch: 1, m: m, n: n, k: k, threads: threads.threadCount, columnMultiple: PackedProduct.columns)
            .forEach(threads) { _, rows, columns in
                let isDone = unsafe PackedProduct(
                    transposeA: transposeA, m: rows.count, n: columns.count, k: k, alpha: alpha,
                    a: a + rows.lowerBound * (transposeA ? 1 : lda), lda: lda,
                    b: .panels(panels + columns.lowerBound * panelRows),
                    start: start.part(rows: rows, columns: columns, step: n), isGated: isGated,
                    halvesLast: halvesLast,
                    c: c + rows.lowerBound * ldc + columns.lowerBound / columnsPerResult, ldc: ldc, precision: precision
                ).run()
                if !isDone { failures.add(1, ordering: .relaxed) }
            }
        guard failures.load(ordering: .relaxed) == 0 else {
            throw TensorError("no memory to pack a matrix of \(m)×\(k) into")
        }
    }
}
