import CKernels
import GraphRuntime

/// X · W (+ bias), and of its halves a and b along the last axis a · GELU(b) (GELU by erf): [..., K] with one [K, 2 N] and a bias
/// [2 N] to [..., N]. The first layer of a feed-forward block (GEGLU of diffusers), of which only the result is written to memory.
struct GatedMatMul: Operator {
    /// Whether input 2 is a bias [2 N].
    var hasBias: Bool
    /// Whether the GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast: Bool
    /// Input 1 in gated panels, where it is a constant that is worth packing once.
    private var panels: PackedConstant?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    /// Rows of the product, for each thread, that are there at a time where the weights aren't packed.
    private static let rowsOfThread = 1024

    init(hasBias: Bool, halvesLast: Bool = false) {
        self.hasBias = hasBias
        self.halvesLast = halvesLast
    }

    var floatingPointTypes: Set<DType>? { [.float32] }
    var mergeKey: String? { "bias=\(hasBias) halvesLast=\(halvesLast)" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let product = try MatMul(hasBias: hasBias).inferOutputs(inputs)[0]
        return [Fact(dtype: product.dtype, shape: try product.shape.map(GEGLU.outputShape))]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost.perElement(16, inputs: inputs, outputs: outputs)
        if let extent = inputs.first??.shape?.dimensions.last, let output = outputs.first??.shape {
            cost.flops += 4 * Double(extent) * Double(output.count)
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        if panels != nil { return ProductKernel.prePackedName(precision) }
        return MatMul(hasBias: hasBias, precision: precision).kernelName(inputs: inputs, outputs: outputs)
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision
        guard let (left, right) = unsafe PanelProduct.constantFactor(inputs) else { return result }
        let extents = try MatMulExtents(left, right.shape)
        guard extents.sharesB, unsafe extents.n % PackedProduct.columns == 0 else { return result }
        result.panels = unsafe PanelProduct.packed(
            right, m: extents.products.rows, n: extents.n, k: extents.k, isGated: true, plan: plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let (x, weights) = (try context.input(0), try context.input(1))
        let bias = hasBias ? try context.input(2) : nil
        let output = try context.output(0)
        let threads = context.threads
        let extents = try MatMulExtents(x.shape, weights.shape)
        guard extents.sharesB, try GEGLU.outputShape(extents.output).count == output.count else {
            throw TensorError("the gated product of \(x.shape) and \(weights.shape) doesn't have shape \(output.shape)")
        }
        if let bias, bias.count != extents.n { throw TensorError("the bias doesn't have \(extents.n) elements") }
        let source = unsafe try x.pointer(to: Float.self)
        let right = unsafe try weights.pointer(to: Float.self)
        let target = unsafe try output.pointer(to: Float.self)
        guard output.count > 0 else { return }
        let offsets = unsafe try bias?.pointer(to: Float.self)
        // Without memory for the panels the product packs block by block.
        if let panels = try? panels?.tensor(threads: threads) {
            let right = unsafe try panels.pointer(to: Float.self)
            unsafe try multiply(source, panels: right, bias: offsets, target, extents, threads: threads)
        } else {
            unsafe try multiply(source, right, bias: offsets, target, extents, threads: threads)
        }
    }

    private func multiply(
        _ x: UnsafePointer<Float>, panels: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
        _ extents: MatMulExtents, threads: ThreadPool
    ) throws(TensorError) {
        let n = extents.n
        unsafe try threads.withWorkspace(byteCount: n * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            var product = unsafe PanelProduct(
                m: extents.products.rows, n: n, k: extents.k, isGated: true, halvesLast: halvesLast, precision: precision)
            if let bias = unsafe bias {
                let ordered = unsafe memory.assumingMemoryBound(to: Float.self)
                unsafe PanelProduct.layout(n: n, k: 1, isGated: true).pack(bias, step: n, into: ordered)
                unsafe product.start = unsafe .columns(ordered)
            }
            unsafe try product.run(x, panels: panels, y, threads: threads)
        }
    }

    private func multiply(
        _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        _ y: UnsafeMutablePointer<Float>,
        _ extents: MatMulExtents, threads: ThreadPool
    ) throws(TensorError) {
        let (rows, n, k) = (extents.products.rows, extents.n, extents.k)
        let step = min(Self.rowsOfThread * threads.threadCount, rows)
        unsafe try threads.withWorkspace(byteCount: step * n * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            nonisolated(unsafe) let halves = unsafe memory.assumingMemoryBound(to: Float.self)
            for first in stride(from: 0, to: rows, by: step) {
                let count = min(step, rows - first)
                nonisolated(unsafe) let weights = unsafe weights
                nonisolated(unsafe) let x = unsafe x
                unsafe MatrixProduct<Float>(m: count, n: n, k: k, start: ProductStart(columns: bias), precision: precision).run(
                    batch: 1, threads: threads
                ) { _ in
                    unsafe (x + first * k, weights, halves)
                }
                nonisolated(unsafe) let y = unsafe y
                threads.forEachRange(count, grain: max(BroadcastPlan.grain / n, 1)) { part in
                    unsafe ck_gated_gelu(
                        halves + part.lowerBound * n, n, n / 2, y + (first + part.lowerBound) * n / 2, n / 2, part.count, n / 2,
                        halvesLast ? 1 : 0)
                }
            }
        }
    }
}
