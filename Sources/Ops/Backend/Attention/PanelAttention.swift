import CKernels
import GraphRuntime

/// Attention in single precision, by the kernels of packed panels.
///
/// A panel of queries is the right factor of both products, keys and values the left ones: the scores of the panel come out key by
/// key, with the queries in lanes. So the softmax needs no sums across lanes, and what it leaves is, as it lies, a packed panel for the
/// product with the values. Keys and values are packed once for all queries of a head. Scores become weights as soon as a few tiles of them
/// are there, relative to a reference in the place of the maximum; when a later tile has a much larger score, what was computed so far is
/// scaled down (after Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3). The weights of a block of
/// keys, which the first-level cache holds, then meet the values. Where keys and values are more than the second-level cache holds, several
/// panels of queries meet each block. Weights of pairs are made of a whole block's scores at once. What masks and limits
/// add to the scores of a block is turned into the order of the scores, see ``PanelAttentionMask``; blocks of which no query of the panel
/// may attend to a key are left out, and so is the end of a block.
///
/// Where the processor multiplies pairs of bfloat16 and the problem allows for it, queries, keys, values and weights are rounded to
/// such; scores and sums are not.
@safe
struct PanelAttention: @unchecked Sendable {
    private let kernel: AttentionKernel<Float>
    /// Nil where every query attends to every key as it is.
    private let mask: PanelAttentionMask?
    /// Whether there is a mask. To ask ``mask`` itself copies it, which takes a part of the time that a tile of scores does.
    private let isMasked: Bool
    /// What scores are multiplied with as they become weights: with a mask they have their scale already.
    private let scale: Float
    /// Keys of a block whose scores become weights at once.
    private let weighedKeys: Int
    /// Keys, and values, in panels of rows.
    private let left: LeftPanels
    /// Panels of keys in a block.
    private let blockPanels: Int
    /// Panels of queries that meet a block one after the other.
    private let groupSize: Int

    private static let lanes = unsafe PackedProduct.columns
    /// Weights of a block, which take 28 KB in single precision.
    private static let blockWeights = 7168
    /// Scores that become weights at once in single precision, while the first-level cache has them.
    private static let weighedScores = 2048
    /// Weights of a block where tiles multiply so fast that scores, weights, keys and values of a block all have to be in the first-level cache,
    /// and the numbers of a key and its value beyond which they aren't anyway.
    private static let tileBlockWeights = 2048
    private static let largestTileBlockWidth = 256
    /// Bytes of a block's keys and values that the second-level cache keeps beside what is computed of them.
    private static let blockBytes = 320 << 10
    /// Bytes of a head's keys and values beyond which reading them for each panel of queries takes longer than multiplying, so that several
    /// panels meet a block while it is in that cache, and the most bytes of what belongs to these panels.
    private static let (keptBytes, stateBytes) = (4 << 20, 512 << 10)
    /// Products from which on rounding is worth it: fewer take a tenth of a millisecond as they are.
    private static let fewestPairedProducts = ck_rounds_all() != 0 ? 0 : 8e6
    /// Packed keys and values of a head that are worth their memory.
    private static let largestKeyCount = 1 << 16
    /// Queries for which packing keys and values pays, of any number and of many: a step of a text model that makes a word at a time has
    /// one.
    private static let (fewestQueries, fewestOfManyKeys) = (8, 24)

    /// - Returns: nil for what ``suits(_:wantsScores:)`` refuses.
    init?(_ kernel: AttentionKernel<Float>) {
        var hasMask = true
        if case .none = unsafe kernel.mask { hasMask = false }
        guard unsafe Self.suits(kernel.problem, wantsScores: kernel.scores != nil) else { return nil }
        unsafe self.kernel = unsafe kernel
        left = unsafe LeftPanels(isPaired: Self.isPaired(kernel.problem))
        let extents = unsafe kernel.problem.extents
        let isShort = left == .tiles && extents.width + extents.valueWidth <= Self.largestTileBlockWidth
        let keyBytes = (extents.width + extents.valueWidth) * (left == .numbers ? 4 : 2)
        let blockKeys = min((isShort ? Self.tileBlockWeights : Self.blockWeights) / Self.lanes, Self.blockBytes / keyBytes)
        blockPanels = max(blockKeys / left.rows, 1)
        let panelBytes = (extents.width + extents.valueWidth) * Self.lanes * MemoryLayout<Float>.stride
        groupSize = extents.keys * keyBytes > Self.keptBytes ? min(max(Self.stateBytes / panelBytes, 1), 8) : 1
        isMasked = unsafe hasMask || !kernel.problem.attendsToAllKeys
        scale = isMasked ? 1 : unsafe Float(kernel.problem.scoreScale)
        let weighedPanels = left == .numbers ? max(Self.weighedScores / (Self.lanes * left.rows), 1) : blockPanels
        weighedKeys = weighedPanels * left.rows
        mask =
            unsafe isMasked
            ? PanelAttentionMask(kernel, lanes: Self.lanes, block: blockPanels * left.rows, isPaired: left != .numbers) : nil
    }

    /// Whether the products of a problem are of pairs of bfloat16.
    static func isPaired(_ problem: AttentionProblem) -> Bool {
        let extents = problem.extents
        let scores = Double(extents.batch * extents.heads) * Double(extents.queries) * Double(extents.keys)
        return ProductPrecision(problem.precision, isPacked: false).pairsLeft
            && scores * Double(extents.width + extents.valueWidth) >= fewestPairedProducts
    }

    /// Whether an attention of float32 is computed so: not with caps, nor where somebody wants the scores, nor for few queries.
    static func suits(_ problem: AttentionProblem, wantsScores: Bool) -> Bool {
        let extents = problem.extents
        return unsafe PackedProduct.level != 0 && !wantsScores && problem.softcap == 0 && extents.keys > 0
            && extents.keys <= largestKeyCount && extents.width > 0 && extents.queries >= fewestQueries
            && (extents.queries >= fewestOfManyKeys || extents.keys < 4 * extents.queries)
    }

    private var extents: AttentionExtents { unsafe kernel.problem.extents }
    private var rows: Int { left.rows }
    private var isPaired: Bool { left != .numbers }
    private var keysOfStep: Int { left.stepMultiple * (isPaired ? 2 : 1) }

    func run(threads: ThreadPool) throws(TensorError) {
        let heads = extents.batch * extents.heads
        let panels = (extents.queries + Self.lanes - 1) / Self.lanes
        // Parts of a head's queries pack its keys and values again, so no more of them than keep all threads busy.
        let wanted = heads % threads.threadCount == 0 ? 1 : min(max(2 * threads.threadCount / heads, 1), panels)
        let step = (panels + wanted - 1) / wanted
        let parts = (panels + step - 1) / step
        let layout = Layout(
            extents, left, blockPanels: blockPanels, maskCount: mask?.scratchCount ?? 0, states: min(groupSize, step))
        let scratchCount = unsafe layout.count + kernel.rowScratchCount
        unsafe try threads.forEach(heads * parts, scratchBytes: scratchCount * MemoryLayout<Float>.stride) { task, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            let part = task % parts * step..<min((task % parts + 1) * step, panels)
            left.withRegisters {
                unsafe run(
                    batch: task / parts / extents.heads, head: task / parts % extents.heads, panels: part, layout, memory)
            }
        }
    }

    /// Where the parts of a task's memory begin, in floats.
    private struct Layout {
        let keyPanels: Int
        /// Steps of the kernel for a key's width.
        let widthSteps: Int
        let keyPanelSize: Int
        let valuePanels: Int
        let valuePanelSize: Int
        let values: Int
        let scores: Int
        /// Pairs of the weights that scores become; empty without pairs.
        let pairs: Int
        let mask: Int
        /// Of the panels of a group, see ``State``.
        let states: Int
        let stateSize: Int
        let count: Int

        init(_ extents: AttentionExtents, _ left: LeftPanels, blockPanels: Int, maskCount: Int, states stateCount: Int) {
            let (rows, lanes) = (left.rows, PanelAttention.lanes)
            keyPanels = (extents.keys + rows - 1) / rows
            widthSteps = left.wholeSteps(left.steps(extents.width))
            keyPanelSize = left.size(steps: widthSteps)
            valuePanels = (extents.valueWidth + rows - 1) / rows
            valuePanelSize = left.size(steps: left.steps(extents.keys))
            values = keyPanels * keyPanelSize
            // Whole lines of the cache, as all that follows then is.
            scores = (values + valuePanels * valuePanelSize + 15) / 16 * 16
            let block = blockPanels * rows
            pairs = scores + block * lanes
            mask = pairs + (left == .numbers ? 0 : left.steps(block) * lanes)
            states = mask + maskCount
            stateSize = lanes * (widthSteps + valuePanels * rows + 3)
            count = states + stateCount * stateSize
        }
    }

    /// What belongs to a panel of queries while blocks of keys and values pass by.
    @unsafe
    private struct State {
        let panel: PanelQueries
        /// The keys that any of the queries may attend to.
        let reachable: Range<Int>
        let queries: UnsafeMutablePointer<Float>
        let results: UnsafeMutablePointer<Float>
        let references: UnsafeMutablePointer<Float>
        let sums: UnsafeMutablePointer<Float>
        let corrections: UnsafeMutablePointer<Float>
        /// Whether no weights have met the values yet.
        var isFirst = true

        init(_ panel: PanelQueries, reachable: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
            let lanes = PanelAttention.lanes
            unsafe (self.panel, self.reachable) = (panel, reachable)
            unsafe queries = unsafe memory
            unsafe references = unsafe queries + lanes * layout.widthSteps
            unsafe sums = unsafe references + lanes
            unsafe corrections = unsafe sums + lanes
            unsafe results = unsafe corrections + lanes
            unsafe references.update(repeating: -.greatestFiniteMagnitude, count: lanes)
            unsafe sums.update(repeating: 0, count: lanes)
        }
    }

    private func run(batch: Int, head: Int, panels: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        unsafe packKeysAndValues(batch: batch, head: head, layout, memory)
        let leavesOut = leavesOutKeys(batch: batch, head: head)
        for first in stride(from: panels.lowerBound, to: panels.upperBound, by: groupSize) {
            let group = first..<min(first + groupSize, panels.upperBound)
            var states = unsafe group.map { panel in
                unsafe state(
                    batch: batch, head: head, panel: panel, leavesOut: leavesOut, layout,
                    memory + layout.states + (panel - first) * layout.stateSize)
            }
            unsafe attend(&states, layout, memory)
            for unsafe(state) in unsafe states { unsafe write(state, scratch: memory + layout.count) }
        }
    }

    private func state(
        batch: Int, head: Int, panel: Int, leavesOut: Bool, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>
    ) -> State {
        let problem = unsafe kernel.problem
        let first = panel * Self.lanes
        let count = min(Self.lanes, extents.queries - first)
        let columns = count <= Self.lanes / 2 && left.writesParts ? Self.lanes / 2 : Self.lanes
        let queries = PanelQueries(batch: batch, head: head, rows: first..<first + count, columns: columns)
        let reachable = leavesOut ? mask.map { reachableKeys(queries, $0) } ?? 0..<extents.keys : 0..<extents.keys
        let state = unsafe State(queries, reachable: reachable, layout, memory)
        unsafe packQueries(
            kernel.query + problem.query.offset(batch: batch, head: head, row: first), count: count, layout, into: state.queries
        )
        return unsafe state
    }

    private func write(_ state: State, scratch: UnsafeMutablePointer<Float>) {
        let (problem, panel) = unsafe (kernel.problem, state.panel)
        let (batch, head) = (panel.batch, panel.head)
        unsafe attention_write_columns(
            state.results, state.sums, Int32(Self.lanes), Int32(panel.rows.count), extents.valueWidth,
            kernel.output + problem.output.offset(batch: batch, head: head, row: panel.rows.lowerBound), problem.output.row)
        for row in panel.rows { unsafe kernel.writeOutUnlessFinite(batch: batch, head: head, row: row, scratch: scratch) }
    }

    private func packKeysAndValues(batch: Int, head: Int, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let problem = unsafe kernel.problem
        let keyHead = head / (extents.heads / extents.keyHeads)
        let keys = unsafe kernel.key + problem.key.offset(batch: batch, head: keyHead, row: 0)
        let values = unsafe kernel.value + problem.value.offset(batch: batch, head: keyHead, row: 0)
        for panel in 0..<layout.keyPanels {
            let count = min(rows, extents.keys - panel * rows)
            unsafe left.packRows(
                keys + panel * rows * problem.key.row, step: problem.key.row, k: extents.width, count: count,
                into: memory + panel * layout.keyPanelSize)
        }
        for panel in 0..<layout.valuePanels {
            unsafe left.packColumns(
                values + panel * rows, step: problem.value.row, k: extents.keys,
                count: min(rows, extents.valueWidth - panel * rows),
                into: memory + layout.values + panel * layout.valuePanelSize)
        }
    }

    /// Packs queries times the scale into a right panel, with zeros up to whole steps.
    private func packQueries(
        _ source: UnsafePointer<Float>, count: Int, _ layout: Layout, into panel: UnsafeMutablePointer<Float>
    ) {
        let (lanes, width, problem) = unsafe (Self.lanes, extents.width, kernel.problem)
        let scale = Float(problem.scale)
        let packed = left.steps(width)
        if isPaired {
            unsafe ck_pack_row_pairs(source, problem.query.row, width, Int32(count), Int32(lanes), scale, panel)
        } else {
            unsafe ck_pack_rows(source, problem.query.row, width, Int32(count), Int32(lanes), panel)
            if scale != 1 { for index in 0..<width * lanes { unsafe panel[index] *= scale } }
        }
        unsafe (panel + packed * lanes).update(repeating: 0, count: (layout.widthSteps - packed) * lanes)
    }

    /// Whether keys that a mask shuts out may be left out: written out, their infinities and NaN reach the results all the same.
    private func leavesOutKeys(batch: Int, head: Int) -> Bool {
        let problem = unsafe kernel.problem
        guard mask != nil, problem.isWrittenOut else { return true }
        let keyHead = head / (extents.heads / extents.keyHeads)
        return unsafe attention_are_finite(
            kernel.key + problem.key.offset(batch: batch, head: keyHead, row: 0), problem.key.row, extents.keys, extents.width)
            != 0
            && attention_are_finite(
                kernel.value + problem.value.offset(batch: batch, head: keyHead, row: 0), problem.value.row, extents.keys,
                extents.valueWidth) != 0
    }

    /// The weighted sums of all values for panels of queries.
    private func attend(_ states: inout [State], _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        for first in stride(from: 0, to: layout.keyPanels, by: blockPanels) {
            let block = first * rows..<(first + blockPanels) * rows
            for index in unsafe states.indices where unsafe block.overlaps(states[index].reachable) {
                let keys = unsafe block.lowerBound..<min(block.upperBound, states[index].reachable.upperBound)
                unsafe weigh(states[index], keys, layout, memory)
                unsafe multiplyValues(states[index], keys, layout, memory)
                unsafe states[index].isFirst = false
            }
        }
        guard let mask else { return }
        for unsafe(state) in unsafe states {
            if unsafe state.isFirst {
                unsafe state.results.update(repeating: 0, count: layout.valuePanels * rows * Self.lanes)
            }
            unsafe mask.finish(state.sums)
        }
    }

    /// Whole blocks, or whole steps of the kernel of the last one.
    private func reachableKeys(_ panel: PanelQueries, _ mask: PanelAttentionMask) -> Range<Int> {
        let reachable = mask.reachableKeys(panel)
        let end = (reachable.upperBound + keysOfStep - 1) / keysOfStep * keysOfStep
        return reachable.isEmpty ? reachable : reachable.lowerBound..<min(end, extents.keys)
    }

    /// The weights of a block of keys.
    private func weigh(_ state: State, _ keys: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let lanes = Self.lanes
        let panel = unsafe state.panel
        let scores = unsafe memory + layout.scores
        if panel.columns < lanes {
            // No product writes the lanes behind the queries, whose numbers the softmax reads.
            unsafe scores.update(repeating: 0, count: keys.count * lanes)
        }
        if isMasked { unsafe mask?.pack(panel, keys, into: memory + layout.mask) }
        let panels = unsafe memory + keys.lowerBound / rows * layout.keyPanelSize
        for place in stride(from: 0, to: keys.count, by: weighedKeys) {
            let count = min(weighedKeys, keys.count - place)
            let tiles = unsafe scores + place * lanes
            unsafe left.multiplyPanels(
                rows: count, steps: layout.widthSteps, panels + place / rows * layout.keyPanelSize,
                panelSize: layout.keyPanelSize, state.queries, into: tiles, columns: panel.columns)
            if isMasked { unsafe mask?.apply(memory + layout.mask, at: place, to: tiles, count) }
            unsafe makeWeights(tiles, count: count, state, layout, memory, place)
        }
    }

    /// Adds the values of a block of keys times their weights to the results.
    private func multiplyValues(_ state: State, _ keys: Range<Int>, _ layout: Layout, _ memory: UnsafeMutablePointer<Float>) {
        let weights = unsafe memory + (isPaired ? layout.pairs : layout.scores)
        // Blocks begin at even keys: so many rows of whole panels are pairs.
        let (begin, count) = (left.steps(keys.lowerBound), left.steps(keys.count))
        unsafe left.multiplyPanels(
            rows: extents.valueWidth, steps: count, memory + layout.values + begin * rows, panelSize: layout.valuePanelSize,
            weights, adds: !state.isFirst, into: state.results, columns: state.panel.columns)
    }

    /// Makes weights of the scores of some keys, and scales what was computed with those before.
    ///
    /// - Parameter keys: of this block, that have weights but haven't met the values.
    private func makeWeights(
        _ tile: UnsafeMutablePointer<Float>, count: Int, _ state: State, _ layout: Layout,
        _ memory: UnsafeMutablePointer<Float>, _ keys: Int
    ) {
        let lanes = Int32(Self.lanes)
        let isRaised =
            unsafe isPaired
            ? attention_softmax_pairs(
                tile, count, lanes, scale, state.references, state.sums, state.corrections, memory + layout.pairs)
            : attention_softmax_tile(tile, count, lanes, scale, state.references, state.sums, state.corrections)
        guard isRaised != 0 else { return }
        unsafe attention_scale_columns(memory + layout.scores, keys, lanes, state.corrections)
        if unsafe !state.isFirst {
            unsafe attention_scale_columns(state.results, layout.valuePanels * rows, lanes, state.corrections)
        }
    }
}
