import CKernels
import GraphRuntime

/// Attention without masks in single precision, by the kernels of packed panels.
///
/// A panel of queries is the right factor of both products, keys and values the left ones: the scores of the panel come out key by
/// key, with the queries in lanes. So the softmax needs no sums across lanes, and what it leaves is, as it lies, a packed panel for the
/// product with the values. Keys and values are packed once for all queries of a head.
struct PanelAttention {
    private let kernel: AttentionKernel<Float>

    private static let rows = PackedProduct.rows
    private static let lanes = PackedProduct.columns
    /// Scores of one panel that still fit a last-level cache's share.
    private static let largestKeyCount = 1 << 16

    /// - Returns: nil for attention with masks, caps or limits, or of which somebody wants the scores.
    init?(_ kernel: AttentionKernel<Float>) {
        let problem = kernel.problem
        guard PackedProduct.level != 0, kernel.scores == nil, case .none = kernel.mask, problem.attendsToAllKeys,
            problem.extents.keys > 0, problem.extents.keys <= Self.largestKeyCount, problem.extents.width > 0
        else { return nil }
        self.kernel = kernel
    }

    private var extents: AttentionExtents { kernel.problem.extents }

    func run(threads: ThreadPool) throws(TensorError) {
        let heads = extents.batch * extents.heads
        let panels = (extents.queries + Self.lanes - 1) / Self.lanes
        // Parts of a head's queries pack its keys and values again, so no more of them than keep all threads busy.
        let parts = heads % threads.threadCount == 0 ? 1 : min(max(2 * threads.threadCount / heads, 1), panels)
        let step = (panels + parts - 1) / parts
        let layout = Layout(extents)
        try threads.forEach(heads * parts, scratchBytes: layout.count * MemoryLayout<Float>.stride) { task, scratch in
            guard let memory = scratch.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
            let part = task % parts * step..<min((task % parts + 1) * step, panels)
            guard !part.isEmpty else { return }
            run(batch: task / parts / extents.heads, head: task / parts % extents.heads, panels: part, layout, memory)
        }
    }

    /// Where the parts of a task's memory begin, in floats.
    private struct Layout {
        let keyPanels: Int
        let valuePanels: Int
        let values: Int
        let queries: Int
        let scores: Int
        let results: Int
        let sums: Int
        let count: Int

        init(_ extents: AttentionExtents) {
            let (rows, lanes) = (PanelAttention.rows, PanelAttention.lanes)
            keyPanels = (extents.keys + rows - 1) / rows
            valuePanels = (extents.valueWidth + rows - 1) / rows
            // Packing may write up to 16 floats behind a panel.
            values = keyPanels * rows * extents.width + 16
            queries = values + valuePanels * rows * extents.keys + 16
            scores = queries + lanes * extents.width
            results = scores + keyPanels * rows * lanes
            sums = results + valuePanels * rows * lanes
            count = sums + lanes
        }
    }

    private func run(batch: Int, head: Int, panels: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let (rows, lanes) = (Self.rows, Self.lanes)
        let problem = kernel.problem
        let keyHead = head / (extents.heads / extents.keyHeads)
        let keys = kernel.key + problem.key.offset(batch: batch, head: keyHead, row: 0)
        let values = kernel.value + problem.value.offset(batch: batch, head: keyHead, row: 0)
        for panel in 0..<layout.keyPanels {
            let count = min(rows, extents.keys - panel * rows)
            ck_pack_rows(
                keys + panel * rows * problem.key.row, problem.key.row, extents.width, Int32(count), Int32(rows),
                memory + panel * rows * extents.width)
        }
        for panel in 0..<layout.valuePanels {
            let count = min(rows, extents.valueWidth - panel * rows)
            ck_pack_columns(
                values + panel * rows, problem.value.row, extents.keys, Int32(count), Int32(rows),
                memory + layout.values + panel * rows * extents.keys)
        }
        let scale = Float(problem.scale)
        let (queries, scores) = (memory + layout.queries, memory + layout.scores)
        for panel in panels {
            let first = panel * lanes
            let count = min(lanes, extents.queries - first)
            ck_pack_rows(
                kernel.query + problem.query.offset(batch: batch, head: head, row: first), problem.query.row, extents.width,
                Int32(count), Int32(lanes), queries)
            for index in 0..<extents.width * lanes { queries[index] *= scale }
            for block in 0..<layout.keyPanels {
                ck_gemm_kernel(
                    PackedProduct.level, extents.width, memory + block * rows * extents.width, queries,
                    scores + block * rows * lanes, lanes, 0)
            }
            attention_softmax_columns(scores, extents.keys, Int32(lanes), memory + layout.sums)
            for block in 0..<layout.valuePanels {
                ck_gemm_kernel(
                    PackedProduct.level, extents.keys, memory + layout.values + block * rows * extents.keys, scores,
                    memory + layout.results + block * rows * lanes, lanes, 0)
            }
            attention_write_columns(
                memory + layout.results, memory + layout.sums, Int32(lanes), Int32(count), extents.valueWidth,
                kernel.output + problem.output.offset(batch: batch, head: head, row: first), problem.output.row)
        }
    }
}
