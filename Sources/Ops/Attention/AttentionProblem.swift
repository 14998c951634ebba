import GraphRuntime

/// The extents of an attention.
package struct AttentionExtents: Sendable, Equatable {
    package var batch: Int
    package var heads: Int
    /// Heads of keys and values; divides ``heads``.
    package var keyHeads: Int
    package var queries: Int
    package var keys: Int
    /// Elements of a query or key.
    package var width: Int
    /// Elements of a value.
    package var valueWidth: Int

    package init(batch: Int, heads: Int, keyHeads: Int, queries: Int, keys: Int, width: Int, valueWidth: Int) {
        self.batch = batch
        self.heads = heads
        self.keyHeads = keyHeads
        self.queries = queries
        self.keys = keys
        self.width = width
        self.valueWidth = valueWidth
    }
}

/// Where the rows of one operand of an attention lie: elements to step over for each axis. The elements of a row are neighbours.
package struct AttentionLayout: Sendable, Equatable {
    package var batch: Int
    package var head: Int
    package var row: Int

    package init(batch: Int, head: Int, row: Int) {
        self.batch = batch
        self.head = head
        self.row = row
    }

    /// [batch, heads, rows, width]
    package static func headsFirst(heads: Int, rows: Int, width: Int) -> AttentionLayout {
        AttentionLayout(batch: heads * rows * width, head: rows * width, row: width)
    }

    /// [batch, rows, heads, width], or [batch, rows, heads·width]
    package static func rowsFirst(heads: Int, rows: Int, width: Int) -> AttentionLayout {
        AttentionLayout(batch: rows * heads * width, head: width, row: heads * width)
    }

    func offset(batch: Int, head: Int, row: Int) -> Int { batch * self.batch + head * self.head + row * self.row }

    /// The elements from the first to the last that an operand of these extents has.
    func reach(batch: Int, heads: Int, rows: Int, width: Int) -> Int {
        guard batch > 0, heads > 0, rows > 0 else { return 0 }
        return offset(batch: batch - 1, head: heads - 1, row: rows - 1) + width
    }
}

/// Everything about an attention but its operands: softmax(scale·Q·Kᵀ + mask)·V (Vaswani et al., "Attention Is All You Need",
/// 2017, equation 1), per head.
package struct AttentionProblem: Sendable {
    package var extents: AttentionExtents
    package var query: AttentionLayout
    package var key: AttentionLayout
    package var value: AttentionLayout
    package var output: AttentionLayout
    /// What products of queries and keys are multiplied with, by way of the queries.
    package var scale: Double
    /// What the products are multiplied with once they are there: it matters for what overflows.
    var scoreScale: Double = 1
    /// Whether infinities and NaN come out as products and softmax have them that are written out: a row of -∞ is NaN. Else a query that
    /// masks leave no key gets zeros.
    var isWrittenOut = false
    /// Whether weights that are NaN, where infinities and NaN come out so, become 0 before they meet the values.
    var zeroesNaN = false
    /// Scores become cap·tanh(score / cap); 0 for as they are.
    package var softcap: Double = 0
    /// Steps through the mask; 0 along axes that it broadcasts over. Its last axis is contiguous.
    var mask = AttentionLayout(batch: 0, head: 0, row: 0)
    /// Keys that the mask covers; those behind are masked out.
    var maskedKeys = Int.max
    /// Query i of batch item b is at position `positions[b] + i` of the keys; one for all, or one per batch item.
    var positions: [Int] = [0]
    /// How many keys before and behind its own position a query attends to; nil for all.
    var keysBefore: Int?
    var keysBehind: Int?
    /// How many of each batch item's keys are valid; nil for all.
    var validKeys: [Int]?
    var scoresStage = Stage.products
    /// In which numbers products of float32 may be computed.
    package var precision = Precision.single

    /// What of the scores is wanted.
    enum Stage: Int, Sendable { case products, capped, masked, probabilities }

    package init(
        extents: AttentionExtents, query: AttentionLayout, key: AttentionLayout, value: AttentionLayout,
        output: AttentionLayout,
        scale: Double
    ) {
        self.extents = extents
        self.query = query
        self.key = key
        self.value = value
        self.output = output
        self.scale = scale
    }

    /// The keys that a query may attend to before the mask has its say.
    func allowedKeys(batch: Int, row: Int) -> Range<Int> {
        let end = min(extents.keys, maskedKeys, validKeys?[batch] ?? extents.keys)
        let position = positions[positions.count == 1 ? 0 : batch] + row
        let lower = keysBefore.map { min(max(position - $0, 0), end) } ?? 0
        let upper = keysBehind.map { min(max(position + $0 + 1, lower), end) } ?? end
        return lower..<max(lower, upper)
    }

    /// Whether nothing but a mask keeps a query from a key.
    var attendsToAllKeys: Bool {
        keysBefore == nil && keysBehind == nil && validKeys == nil && maskedKeys >= extents.keys
    }

    /// - Throws: ``TensorError`` where operands of these sizes are smaller than extents and layouts say, or rows overlap.
    func check(query: Int, key: Int, value: Int, output: Int) throws(TensorError) {
        guard extents.keyHeads > 0 || extents.heads == 0, extents.heads % max(extents.keyHeads, 1) == 0 else {
            throw TensorError("\(extents.heads) heads of queries don't share \(extents.keyHeads) heads of keys")
        }
        let operands = [
            ("query", query, self.query, extents.heads, extents.queries, extents.width),
            ("key", key, self.key, extents.keyHeads, extents.keys, extents.width),
            ("value", value, self.value, extents.keyHeads, extents.keys, extents.valueWidth),
            ("output", output, self.output, extents.heads, extents.queries, extents.valueWidth),
        ]
        for (name, count, layout, heads, rows, width) in operands {
            guard layout.reach(batch: extents.batch, heads: heads, rows: rows, width: width) <= count, layout.row >= width
            else {
                throw TensorError("\(count) elements of \(name) don't hold [\(extents.batch), \(heads), \(rows), \(width)]")
            }
        }
        try BLASLimits.check(extents.queries, extents.keys, extents.width, extents.valueWidth)
        try BLASLimits.check(self.query.row, self.key.row, self.value.row, self.output.row)
    }
}
