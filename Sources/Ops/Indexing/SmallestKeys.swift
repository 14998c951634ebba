/// Finds the smallest of many keys, smallest first, of equal ones the first.
///
/// A candidate is one number, a key before its position. Few are kept in order, each new one at its place; of many, twice as many as are
/// wanted are gathered before the worse half is dropped. Most keys are only compared with the largest of those that are kept.
struct SmallestKeys<Key: FixedWidthInteger & UnsignedInteger, Candidate: FixedWidthInteger & UnsignedInteger> {
    private let count: Int
    private var candidates: [Candidate] = []

    /// Candidates up to which they are kept in order.
    private static var fewest: Int { 32 }
    private static var half: Int { Candidate.bitWidth / 2 }

    /// - Parameter count: how many are wanted.
    init(count: Int) {
        self.count = count
        candidates.reserveCapacity(max(2 * count, 64))
    }

    /// Appends the positions of the `count` smallest of `extent` keys, at least `count`, which positions of half a candidate's bits tell
    /// apart.
    @inline(__always)
    mutating func append(to positions: inout [Int], extent: Int, key: (Int) -> Key) {
        guard count > 0 else { return }
        candidates.removeAll(keepingCapacity: true)
        if count <= Self.fewest { insertAll(extent, key) } else { gatherAll(extent, key) }
        for candidate in candidates { positions.append(Int(truncatingIfNeeded: candidate & (1 << Self.half - 1))) }
    }

    @inline(__always)
    private func candidate(_ key: Key, _ position: Int) -> Candidate {
        Candidate(truncatingIfNeeded: key) << Self.half | Candidate(truncatingIfNeeded: position)
    }

    @inline(__always)
    private mutating func insertAll(_ extent: Int, _ key: (Int) -> Key) {
        for position in 0..<count { candidates.append(candidate(key(position), position)) }
        candidates.sort()
        var largest = Key(truncatingIfNeeded: candidates[count - 1] >> Self.half)
        for position in count..<extent {
            let key = key(position)
            // A later one that is equal loses.
            if key >= largest { continue }
            let new = candidate(key, position)
            var place = count - 1
            while place > 0, candidates[place - 1] > new {
                candidates[place] = candidates[place - 1]
                place -= 1
            }
            candidates[place] = new
            largest = Key(truncatingIfNeeded: candidates[count - 1] >> Self.half)
        }
    }

    @inline(__always)
    private mutating func gatherAll(_ extent: Int, _ key: (Int) -> Key) {
        let capacity = min(extent, max(2 * count, 64))
        var isFull = false
        var largest = Key.max
        for position in 0..<extent {
            let key = key(position)
            if isFull, key >= largest { continue }
            candidates.append(candidate(key, position))
            if candidates.count == capacity, position + 1 < extent {
                candidates.sort()
                candidates.removeSubrange(count...)
                (isFull, largest) = (true, Key(truncatingIfNeeded: candidates[count - 1] >> Self.half))
            }
        }
        candidates.sort()
        candidates.removeSubrange(count...)
    }
}
