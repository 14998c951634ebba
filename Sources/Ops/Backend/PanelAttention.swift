import CKernels
import GraphRuntime

/// Attention without masks in single precision, by the kernels of packed panels.
///
/// A panel of queries is the right factor of both products, keys and values the left ones: the scores of the panel come out key by
/// key, with the queries in lanes. So the softmax needs no sums across lanes, and what it leaves is, as it lies, a packed panel for the
/// product with the values. Keys and values are packed once for all queries of a head. Scores become weights as soon as a tile of them
/// is there, relative to a reference in the place of the maximum; when a later tile has a much larger score, what was computed so far is
/// scaled down (after Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3). The weights of a block of
/// keys, which the first-level cache holds, then meet the values.
struct PanelAttention {
    private let kernel: AttentionKernel<Float>

    private static let rows = PackedProduct.rows
    private static let lanes = PackedProduct.columns
    /// Panels of keys in a block, whose weights take 28 KB.
    private static let blockPanels = max(7168 / (rows * lanes), 1)
    /// Packed keys and values of a head that are worth their memory.
    private static let largestKeyCount = 1 << 16

    /// - Returns: nil for what ``suits(_:hasMask:wantsScores:)`` refuses.
    init?(_ kernel: AttentionKernel<Float>) {
        var hasMask = true
        if case .none = kernel.mask { hasMask = false }
        guard Self.suits(kernel.problem, hasMask: hasMask, wantsScores: kernel.scores != nil) else { return nil }
        self.kernel = kernel
    }

    /// Whether an attention of float32 is computed so: not with masks, caps or limits, nor where somebody wants the scores.
    static func suits(_ problem: AttentionProblem, hasMask: Bool, wantsScores: Bool) -> Bool {
        PackedProduct.level != 0 && !wantsScores && !hasMask && problem.attendsToAllKeys && problem.extents.keys > 0
            && problem.extents.keys <= largestKeyCount && problem.extents.width > 0
    }

    private var extents: AttentionExtents { kernel.problem.extents }

    func run(threads: ThreadPool) throws(TensorError) {
        let heads = extents.batch * extents.heads
        let panels = (extents.queries + Self.lanes - 1) / Self.lanes
        // Parts of a head's queries pack its keys and values again, so no more of them than keep all threads busy.
        let wanted = heads % threads.threadCount == 0 ? 1 : min(max(2 * threads.threadCount / heads, 1), panels)
        let step = (panels + wanted - 1) / wanted
        let parts = (panels + step - 1) / step
        let layout = Layout(extents)
        try threads.forEach(heads * parts, scratchBytes: layout.count * MemoryLayout<Float>.stride) { task, scratch in
            guard let memory = scratch.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
            let part = task % parts * step..<min((task % parts + 1) * step, panels)
            run(batch: task / parts / extents.heads, head: task / parts % extents.heads, panels: part, layout, memory)
        }
    }

    /// Where the parts of a task's memory begin, in floats.
    private struct Layout {
        let keyPanels: Int
        let valuePanels: Int
        /// Packing may write up to 16 floats behind a panel, which is why panels of values lie that far apart.
        let valuePanelSize: Int
        let values: Int
        let queries: Int
        let scores: Int
        let results: Int
        let references: Int
        let sums: Int
        let corrections: Int
        let count: Int

        init(_ extents: AttentionExtents) {
            let (rows, lanes) = (PanelAttention.rows, PanelAttention.lanes)
            keyPanels = (extents.keys + rows - 1) / rows
            valuePanels = (extents.valueWidth + rows - 1) / rows
            valuePanelSize = rows * extents.keys + 16
            values = keyPanels * rows * extents.width + 16
            queries = values + valuePanels * valuePanelSize
            scores = queries + lanes * extents.width
            results = scores + PanelAttention.blockPanels * rows * lanes
            references = results + valuePanels * rows * lanes
            sums = references + lanes
            corrections = sums + lanes
            count = corrections + lanes
        }
    }

    private func run(batch: Int, head: Int, panels: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        packKeysAndValues(batch: batch, head: head, layout, memory)
        let problem = kernel.problem
        // The softmax's exponentials are powers of two.
        let scale = Float(problem.scale) * 1.442_695_04
        let queries = memory + layout.queries
        for panel in panels {
            let first = panel * Self.lanes
            let count = min(Self.lanes, extents.queries - first)
            ck_pack_rows(
                kernel.query + problem.query.offset(batch: batch, head: head, row: first), problem.query.row, extents.width,
                Int32(count), Int32(Self.lanes), queries)
            for index in 0..<extents.width * Self.lanes { queries[index] *= scale }
            attend(layout, memory)
            attention_write_columns(
                memory + layout.results, memory + layout.sums, Int32(Self.lanes), Int32(count), extents.valueWidth,
                kernel.output + problem.output.offset(batch: batch, head: head, row: first), problem.output.row)
        }
    }

    private func packKeysAndValues(batch: Int, head: Int, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let (rows, problem) = (Self.rows, kernel.problem)
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
                memory + layout.values + panel * layout.valuePanelSize)
        }
    }

    /// The weighted sums of all values for the packed panel of queries.
    private func attend(_ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let (rows, lanes) = (Self.rows, Self.lanes)
        let (queries, scores, results) = (memory + layout.queries, memory + layout.scores, memory + layout.results)
        let (references, sums) = (memory + layout.references, memory + layout.sums)
        references.update(repeating: -.greatestFiniteMagnitude, count: lanes)
        sums.update(repeating: 0, count: lanes)
        for first in stride(from: 0, to: layout.keyPanels, by: Self.blockPanels) {
            let keys = first * rows..<min((first + Self.blockPanels) * rows, extents.keys)
            for panel in first..<min(first + Self.blockPanels, layout.keyPanels) {
                let tile = scores + (panel - first) * rows * lanes
                let keyCount = min(rows, extents.keys - panel * rows)
                ck_gemm_kernel(
                    PackedProduct.level, Int32(keyCount), extents.width, memory + panel * rows * extents.width, rows, queries,
                    nil,
                    0, tile, lanes, nil, 0)
                let corrections = memory + layout.corrections
                guard attention_softmax_tile(tile, keyCount, Int32(lanes), references, sums, corrections) != 0 else { continue }
                attention_scale_columns(scores, (panel - first) * rows, Int32(lanes), corrections)
                if first > 0 { attention_scale_columns(results, layout.valuePanels * rows, Int32(lanes), corrections) }
            }
            for panel in 0..<layout.valuePanels {
                let result = results + panel * rows * lanes
                ck_gemm_kernel(
                    PackedProduct.level, Int32(min(rows, extents.valueWidth - panel * rows)), keys.count,
                    memory + layout.values + panel * layout.valuePanelSize + keys.lowerBound * rows, rows, scores,
                    first == 0 ? nil : UnsafePointer(result), lanes, result, lanes, nil, 0)
            }
        }
    }
}
