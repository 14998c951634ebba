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
///
/// Where the processor multiplies pairs of bfloat16 and the problem allows for it, queries, keys, values and weights are rounded to
/// such; scores and sums are not.
@safe
struct PanelAttention: @unchecked Sendable {
    private let kernel: AttentionKernel<Float>
    /// Whether the products are of pairs.
    private let isPaired: Bool

    private static let rows = unsafe PackedProduct.rows
    private static let lanes = unsafe PackedProduct.columns
    /// Panels of keys in a block, whose weights take 28 KB.
    private static let blockPanels = max(7168 / (rows * lanes), 1)
    /// Packed keys and values of a head that are worth their memory.
    private static let largestKeyCount = 1 << 16

    /// - Returns: nil for what ``suits(_:hasMask:wantsScores:)`` refuses.
    init?(_ kernel: AttentionKernel<Float>) {
        var hasMask = true
        if case .none = unsafe kernel.mask { hasMask = false }
        guard unsafe Self.suits(kernel.problem, hasMask: hasMask, wantsScores: kernel.scores != nil) else { return nil }
        unsafe self.kernel = unsafe kernel
        isPaired = unsafe Self.isPaired(kernel.problem)
    }

    /// Whether the products of a problem are of pairs of bfloat16.
    static func isPaired(_ problem: AttentionProblem) -> Bool {
        ProductPrecision(problem.precision, isPacked: false).pairsLeft
    }

    /// Whether an attention of float32 is computed so: not with masks, caps or limits, nor where somebody wants the scores.
    static func suits(_ problem: AttentionProblem, hasMask: Bool, wantsScores: Bool) -> Bool {
        unsafe PackedProduct.level != 0 && !wantsScores && !hasMask && problem.attendsToAllKeys && problem.extents.keys > 0
            && problem.extents.keys <= largestKeyCount && problem.extents.width > 0
    }

    private var extents: AttentionExtents { unsafe kernel.problem.extents }

    func run(threads: ThreadPool) throws(TensorError) {
        let heads = extents.batch * extents.heads
        let panels = (extents.queries + Self.lanes - 1) / Self.lanes
        // Parts of a head's queries pack its keys and values again, so no more of them than keep all threads busy.
        let wanted = heads % threads.threadCount == 0 ? 1 : min(max(2 * threads.threadCount / heads, 1), panels)
        let step = (panels + wanted - 1) / wanted
        let parts = (panels + step - 1) / step
        let layout = Layout(extents, isPaired: isPaired)
        let scratchCount = unsafe layout.count + kernel.rowScratchCount
        unsafe try threads.forEach(heads * parts, scratchBytes: scratchCount * MemoryLayout<Float>.stride) { task, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            let part = task % parts * step..<min((task % parts + 1) * step, panels)
            unsafe run(batch: task / parts / extents.heads, head: task / parts % extents.heads, panels: part, layout, memory)
        }
    }

    /// Where the parts of a task's memory begin, in floats.
    private struct Layout {
        let keyPanels: Int
        /// Rows of a panel of keys, and of queries.
        let widthRows: Int
        let valuePanels: Int
        /// Packing may write up to 16 floats behind a panel, which is why panels of values lie that far apart.
        let valuePanelSize: Int
        let values: Int
        let queries: Int
        let scores: Int
        /// Pairs of the weights that scores become; empty without pairs.
        let pairs: Int
        let results: Int
        let references: Int
        let sums: Int
        let corrections: Int
        let count: Int

        init(_ extents: AttentionExtents, isPaired: Bool) {
            let (rows, lanes) = (PanelAttention.rows, PanelAttention.lanes)
            keyPanels = (extents.keys + rows - 1) / rows
            widthRows = PanelLayout.rows(depth: extents.width, isPaired: isPaired)
            valuePanels = (extents.valueWidth + rows - 1) / rows
            valuePanelSize = rows * PanelLayout.rows(depth: extents.keys, isPaired: isPaired) + 16
            values = keyPanels * rows * widthRows + 16
            queries = values + valuePanels * valuePanelSize
            scores = queries + lanes * widthRows
            let block = PanelAttention.blockPanels * rows
            pairs = scores + block * lanes
            results = pairs + (isPaired ? PanelLayout.rows(depth: block, isPaired: true) * lanes : 0)
            references = results + valuePanels * rows * lanes
            sums = references + lanes
            corrections = sums + lanes
            count = corrections + lanes
        }
    }

    private func run(batch: Int, head: Int, panels: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        unsafe packKeysAndValues(batch: batch, head: head, layout, memory)
        let problem = unsafe kernel.problem
        let scale = Float(problem.scale)
        let queries = unsafe memory + layout.queries
        for panel in panels {
            let first = panel * Self.lanes
            let count = min(Self.lanes, extents.queries - first)
            unsafe pack(
                kernel.query + problem.query.offset(batch: batch, head: head, row: first), step: problem.query.row,
                count: count,
                of: Self.lanes, scale: scale, into: queries)
            unsafe attend(layout, memory)
            unsafe attention_write_columns(
                memory + layout.results, memory + layout.sums, Int32(Self.lanes), Int32(count), extents.valueWidth,
                kernel.output + problem.output.offset(batch: batch, head: head, row: first), problem.output.row)
            for row in first..<first + count {
                unsafe kernel.writeOutUnlessFinite(batch: batch, head: head, row: row, scratch: memory + layout.count)
            }
        }
    }

    private func packKeysAndValues(batch: Int, head: Int, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let (rows, problem) = unsafe (Self.rows, kernel.problem)
        let keyHead = head / (extents.heads / extents.keyHeads)
        let keys = unsafe kernel.key + problem.key.offset(batch: batch, head: keyHead, row: 0)
        let values = unsafe kernel.value + problem.value.offset(batch: batch, head: keyHead, row: 0)
        for panel in 0..<layout.keyPanels {
            let count = min(rows, extents.keys - panel * rows)
            unsafe pack(
                keys + panel * rows * problem.key.row, step: problem.key.row, count: count, of: rows, scale: 1,
                into: memory + panel * rows * layout.widthRows)
        }
        for panel in 0..<layout.valuePanels {
            let count = min(rows, extents.valueWidth - panel * rows)
            let source = unsafe values + panel * rows
            let place = unsafe memory + layout.values + panel * layout.valuePanelSize
            if isPaired {
                unsafe ck_pack_column_pairs(source, problem.value.row, extents.keys, Int32(count), Int32(rows), 1, place, rows)
            } else {
                unsafe ck_pack_columns(source, problem.value.row, extents.keys, Int32(count), Int32(rows), place, rows)
            }
        }
    }

    /// Packs rows of queries or keys, times a factor, into a panel of `rows`.
    private func pack(
        _ source: UnsafePointer<Float>, step: Int, count: Int, of rows: Int, scale: Float,
        into panel: UnsafeMutablePointer<Float>
    ) {
        if isPaired {
            return unsafe ck_pack_row_pairs(source, step, extents.width, Int32(count), Int32(rows), scale, panel)
        }
        unsafe ck_pack_rows(source, step, extents.width, Int32(count), Int32(rows), panel)
        if scale != 1 { for index in 0..<extents.width * rows { unsafe panel[index] *= scale } }
    }

    /// The weighted sums of all values for the packed panel of queries.
    private func attend(_ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let (rows, lanes) = (Self.rows, Self.lanes)
        let (queries, scores, results) = unsafe (memory + layout.queries, memory + layout.scores, memory + layout.results)
        let (references, sums) = unsafe (memory + layout.references, memory + layout.sums)
        let multiply = unsafe isPaired ? ck_gemm_pairs_kernel : ck_gemm_kernel
        unsafe references.update(repeating: -.greatestFiniteMagnitude, count: lanes)
        unsafe sums.update(repeating: 0, count: lanes)
        for first in stride(from: 0, to: layout.keyPanels, by: Self.blockPanels) {
            let keys = first * rows..<min((first + Self.blockPanels) * rows, extents.keys)
            for panel in first..<min(first + Self.blockPanels, layout.keyPanels) {
                let tile = unsafe scores + (panel - first) * rows * lanes
                let keyCount = min(rows, extents.keys - panel * rows)
                unsafe multiply(
                    PackedProduct.level, Int32(keyCount), layout.widthRows, memory + panel * rows * layout.widthRows, rows,
                    queries, nil, 0, tile, lanes, nil, 0)
                let corrections = unsafe memory + layout.corrections
                let scale = unsafe Float(kernel.problem.scoreScale)
                guard unsafe attention_softmax_tile(tile, keyCount, Int32(lanes), scale, references, sums, corrections) != 0
                else { continue }
                unsafe attention_scale_columns(scores, (panel - first) * rows, Int32(lanes), corrections)
                if first > 0 { unsafe attention_scale_columns(results, layout.valuePanels * rows, Int32(lanes), corrections) }
            }
            var weights = unsafe scores
            if isPaired {
                unsafe weights = unsafe memory + layout.pairs
                unsafe ck_pack_column_pairs(scores, lanes, keys.count, Int32(lanes), Int32(lanes), 1, weights, lanes)
            }
            // Blocks begin at even keys: so many rows of whole panels are pairs.
            let (begin, count) = (
                PanelLayout.rows(depth: keys.lowerBound, isPaired: isPaired),
                PanelLayout.rows(depth: keys.count, isPaired: isPaired)
            )
            for panel in 0..<layout.valuePanels {
                let result = unsafe results + panel * rows * lanes
                unsafe multiply(
                    PackedProduct.level, Int32(min(rows, extents.valueWidth - panel * rows)), count,
                    memory + layout.values + panel * layout.valuePanelSize + begin * rows, rows, weights,
                    first == 0 ? nil : UnsafePointer(result), lanes, result, lanes, nil, 0)
            }
        }
    }
}
