/// Places blocks that live for a range of steps into one piece of memory.
package struct ArenaLayout {
    /// A block that is written at step `first` and last read at step `last`.
    package struct Block {
        package var byteCount: Int
        package var first: Int
        package var last: Int

        package init(byteCount: Int, first: Int, last: Int) {
            self.byteCount = byteCount
            self.first = first
            self.last = last
        }
    }

    /// Where each block starts.
    package let offsets: [Int]
    package let byteCount: Int

    /// Largest blocks first, each at the lowest place that is free for the whole of its life ("greedy by size", Pisarchyk and Lee,
    /// "Efficient Memory Management for Deep Neural Net Inference", 2020).
    package init(_ blocks: [Block]) {
        var offsets = [Int](repeating: 0, count: blocks.count)
        var total = 0
        let order = blocks.indices.sorted { (blocks[$1].byteCount, $0) < (blocks[$0].byteCount, $1) }
        // Kept sorted by offset.
        var placed: [Int] = []
        for index in order {
            let block = blocks[index]
            let size = Self.aligned(block.byteCount)
            var offset = 0
            for other in placed where blocks[other].first <= block.last && block.first <= blocks[other].last {
                if offsets[other] >= offset + size { break }
                offset = max(offset, offsets[other] + Self.aligned(blocks[other].byteCount))
            }
            offsets[index] = offset
            total = max(total, offset + size)
            let slot = placed.firstIndex { offsets[$0] > offset } ?? placed.count
            placed.insert(index, at: slot)
        }
        self.offsets = offsets
        byteCount = total
    }

    package static func aligned(_ byteCount: Int) -> Int {
        (byteCount + TensorStorage.alignment - 1) / TensorStorage.alignment * TensorStorage.alignment
    }
}
