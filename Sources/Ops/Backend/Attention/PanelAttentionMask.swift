import CKernels
import GraphRuntime

/// The queries of a panel: those of one head, one in each lane from the first on.
struct PanelQueries {
    let batch: Int
    let head: Int
    let rows: Range<Int>
    /// The lanes that are computed, for the queries and for some more.
    let columns: Int
}

/// What masks and limits add to the scores of ``PanelAttention``, in the order of these: key by key, with the queries in lanes.
@safe
struct PanelAttentionMask: @unchecked Sendable {
    private let kernel: AttentionKernel<Float>
    private let lanes: Int
    /// Keys of a block.
    private let block: Int
    private let isPaired: Bool

    /// What is added to scores below this hides keys from queries that have others: exporters write float32's least number for -∞,
    /// and a score has no digit in common with either. Nor is less added where weights are pairs, whose exponents are multiplied with
    /// 1/ln 2 as they are, which may not overflow.
    private static let least: Float = -1e30

    /// - Parameters:
    ///   - kernel: with a mask, or limits.
    ///   - lanes: of a panel of queries.
    ///   - block: the keys of a block.
    ///   - isPaired: whether weights become pairs of bfloat16.
    init(_ kernel: AttentionKernel<Float>, lanes: Int, block: Int, isPaired: Bool) {
        unsafe self.kernel = unsafe kernel
        (self.lanes, self.block, self.isPaired) = (lanes, block, isPaired)
    }

    private var problem: AttentionProblem { unsafe kernel.problem }

    /// Floats that ``pack(_:_:into:)`` needs: a block's numbers, and these row by row.
    var scratchCount: Int { 2 * block * lanes }

    /// The keys that a panel needs: those that limits allow to any of its queries, or those from the first to the last that the mask
    /// leaves to any. A query to which the mask leaves no key attends to all alike.
    func reachableKeys(_ panel: PanelQueries) -> Range<Int> {
        guard problem.attendsToAllKeys else {
            return panel.rows.lazy.map { problem.allowedKeys(batch: panel.batch, row: $0) }.filter { !$0.isEmpty }
                .reduce(0..<0) { $0.isEmpty ? $1 : min($0.lowerBound, $1.lowerBound)..<max($0.upperBound, $1.upperBound) }
        }
        var (first, end) = (Int32(0), Int32(problem.extents.keys))
        if case .additive(let mask) = unsafe kernel.mask {
            let start = problem.mask.offset(batch: panel.batch, head: panel.head, row: panel.rows.lowerBound)
            _ = unsafe attention_reached_keys(
                mask + start, problem.mask.row, Int32(panel.rows.count), end, Self.least, &first, &end)
        }
        return Int(first)..<Int(end)
    }

    /// Turns what is added to the scores of a block into their order; lanes without a query get zeros.
    ///
    /// - Parameters:
    ///   - keys: the block's.
    ///   - target: ``scratchCount`` floats.
    func pack(_ panel: PanelQueries, _ keys: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        let start = problem.mask.offset(batch: panel.batch, head: panel.head, row: panel.rows.lowerBound) + keys.lowerBound
        let queries = Int32(panel.rows.count)
        if problem.attendsToAllKeys, case .additive(let mask) = unsafe kernel.mask {
            unsafe ck_pack_rows(mask + start, problem.mask.row, keys.count, queries, Int32(lanes), target)
        } else {
            let rows = unsafe target + block * lanes
            for (lane, row) in panel.rows.enumerated() {
                unsafe fill(rows + lane * block, panel, row: row, keys)
            }
            unsafe ck_pack_rows(rows, block, keys.count, queries, Int32(lanes), target)
        }
        if isPaired { unsafe attention_limit_mask(target, keys.count * lanes, Self.least) }
    }

    /// What is added to the scores of one query.
    private func fill(
        _ target: UnsafeMutablePointer<Float>, _ panel: PanelQueries, row: Int, _ keys: Range<Int>
    ) {
        let allowed = problem.allowedKeys(batch: panel.batch, row: row).clamped(to: keys)
        let inside = unsafe target + (allowed.lowerBound - keys.lowerBound)
        let start = problem.mask.offset(batch: panel.batch, head: panel.head, row: row) + allowed.lowerBound
        unsafe target.update(repeating: -.infinity, count: allowed.lowerBound - keys.lowerBound)
        switch unsafe kernel.mask {
        case .none: unsafe inside.update(repeating: 0, count: allowed.count)
        case .additive(let mask): unsafe inside.update(from: mask + start, count: allowed.count)
        case .boolean(let mask):
            unsafe inside.update(repeating: 0, count: allowed.count)
            unsafe Float.apply(mask + start, to: inside, allowed.count)
        }
        unsafe (inside + allowed.count).update(repeating: -.infinity, count: keys.upperBound - allowed.upperBound)
    }

    /// Scales the scores of some keys and adds the mask.
    ///
    /// - Parameters:
    ///   - packed: what ``pack(_:_:into:)`` made.
    ///   - place: the first of the keys in the block.
    func apply(_ packed: UnsafePointer<Float>, at place: Int, to tile: UnsafeMutablePointer<Float>, _ count: Int) {
        let (first, count) = unsafe (packed + place * lanes, count * lanes)
        if problem.scoreScale != 1 { unsafe Float.scale(tile, count, by: Float(problem.scoreScale)) }
        unsafe Float.add(first, to: tile, count, shutsOut: !problem.isWrittenOut)
    }

    /// Has queries without any key give zeros: results, which are zeros, are divided by the sums.
    func finish(_ sums: UnsafeMutablePointer<Float>) {
        guard !problem.isWrittenOut else { return }
        for lane in 0..<lanes where unsafe sums[lane] == 0 { unsafe sums[lane] = .infinity }
    }
}
