/// Scores of which the largest is taken first, and of equal ones the first.
///
/// A binary heap (Williams, "Algorithm 232: Heapsort", 1964) that lets a hole sink to the bottom before it places an element (Floyd's
/// variant, as in libstdc++'s `priority_queue`): with NaN among the scores, which compares with nothing, the order depends on these very
/// steps, and ONNX Runtime takes them.
struct ScoreHeap {
    struct Entry {
        let score: Float
        let index: Int

        func isWorse(than other: Entry) -> Bool {
            score < other.score || (score == other.score && index > other.index)
        }
    }

    private var entries: [Entry]

    init(_ entries: [Entry]) {
        self.entries = entries
        for parent in stride(from: entries.count / 2 - 1, through: 0, by: -1) {
            sink(from: parent, self.entries[parent], count: entries.count)
        }
    }

    mutating func removeBest() -> Entry? {
        guard let last = entries.popLast() else { return nil }
        guard let best = entries.first else { return last }
        sink(from: 0, last, count: entries.count)
        return best
    }

    /// Moves the better child of each hole up, and the entry from the bottom to its place.
    private mutating func sink(from top: Int, _ entry: Entry, count: Int) {
        var hole = top
        while 2 * hole + 1 < count {
            var child = 2 * hole + 2
            if child == count || entries[child].isWorse(than: entries[child - 1]) { child -= 1 }
            entries[hole] = entries[child]
            hole = child
        }
        while hole > top, entries[(hole - 1) / 2].isWorse(than: entry) {
            entries[hole] = entries[(hole - 1) / 2]
            hole = (hole - 1) / 2
        }
        entries[hole] = entry
    }
}
