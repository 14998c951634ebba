import CKernels
import GraphRuntime

/// R of all directions, [directions, gates · size, size], and the numbers of a step's products: one direction and stage of gates after the
/// other, in whole panels of output columns.
struct RecurrentWeights: Sendable {
    let directions: Int
    let size: Int
    /// See ``RecurrentCell/stages``.
    let stages: [Range<Int>]

    private static let width = unsafe PackedProduct.columns
    /// Whether the kernels read panels.
    private static let readsPanels = unsafe PackedProduct.level != 0

    private var gates: Int { stages.last?.upperBound ?? 0 }

    private func layout(stage: Int) -> PanelLayout {
        PanelLayout(width: Self.width, columns: stages[stage].count * size, depth: size, isTransposed: true)
    }

    func panelCount(stage: Int) -> Int { layout(stage: stage).panelCount }

    /// Where the products of a stage begin in those of a sequence, and where they end.
    func columns(stage: Int) -> Range<Int> {
        let first = (0..<stage).reduce(0) { $0 + panelCount(stage: $1) * Self.width }
        return first..<first + panelCount(stage: stage) * Self.width
    }

    /// Numbers of the products of a sequence.
    var productCount: Int { columns(stage: stages.count - 1).upperBound }

    /// R in panels, where it is a constant of float32, or of halves, which are widened in them.
    func packed(_ r: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard Self.readsPanels, r.dtype == .float32 || r.dtype.isHalf, r.count == directions * gates * size * size, r.count > 0
        else {
            return nil
        }
        let form = "recurrent panels of \(Self.width) of \(directions)×\(stages)×\(size)"
        return constants.constant(r, form: form) { r, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([directions * productCount * size]))
            let source = try r.widened(threads: threads).aligned()
            try withExtendedLifetime(source) { () throws(TensorError) in
                nonisolated(unsafe) let from = unsafe try source.pointer(to: Float.self)
                nonisolated(unsafe) let to = unsafe try result.pointer(to: Float.self)
                threads.forEach(directions * stages.count) { index in
                    let (direction, stage) = (index / stages.count, index % stages.count)
                    unsafe layout(stage: stage).pack(
                        from + (direction * gates + stages[stage].lowerBound) * size * size, step: size,
                        into: to + (direction * productCount + columns(stage: stage).lowerBound) * size)
                }
            }
            return result.tensor
        }
    }

    /// The products of some rows of states with the panels of one direction and stage.
    ///
    /// - Parameters:
    ///   - packed: all panels.
    ///   - states: `rows` of them, `step` floats apart.
    ///   - products: where those of the first sequence begin; they are ``productCount`` floats apart.
    func multiply(
        direction: Int, stage: Int, panels: Range<Int>, packed: UnsafePointer<Float>, states: UnsafePointer<Float>, step: Int,
        rows: Int, products: UnsafeMutablePointer<Float>
    ) {
        let (width, first) = (Self.width, columns(stage: stage).lowerBound)
        let weights = unsafe packed + (direction * productCount + first) * size
        let target = unsafe products + first
        if rows == 1 {
            let place = panels.lowerBound * width
            return unsafe ck_row_product(
                states, size, weights + place * size, Int32(width), panels.count, nil, target + place)
        }
        for panel in panels {
            for row in unsafe stride(from: 0, to: rows, by: PackedProduct.rows) {
                unsafe ck_gemm_unpacked_kernel(
                    PackedProduct.level, Int32(min(PackedProduct.rows, rows - row)), size, states + row * step, step,
                    weights + panel * width * size, nil, 0, target + row * productCount + panel * width, productCount)
            }
        }
    }

    /// The same with R as it lies, all columns of a stage.
    func multiply<Element: BLASElement>(
        direction: Int, stage: Int, weights: UnsafePointer<Element>, states: UnsafePointer<Element>, step: Int, rows: Int,
        products: UnsafeMutablePointer<Element>
    ) {
        let range = stages[stage]
        unsafe GEMM(
            transposeB: true, m: rows, n: range.count * size, k: size, a: states, lda: step,
            b: weights + (direction * gates + range.lowerBound) * size * size, ldb: size,
            c: products + columns(stage: stage).lowerBound, ldc: productCount
        ).run()
    }
}
