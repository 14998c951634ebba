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
    ///
    /// - Parameter next: the first place from a position on whose key may be below a bound, or `extent`: what is before it is passed over.
    @inline(__always)
    mutating func append(
        to positions: inout [Int], extent: Int, key: (Int) -> Key,
        next: (_ position: Int, _ bound: Key) -> Int = { position, _ in position }
    ) {
        guard count > 0 else { return }
        candidates.removeAll(keepingCapacity: true)
        if count <= Self.fewest { insertAll(extent, key, next) } else { gatherAll(extent, key, next) }
        for candidate in candidates { positions.append(Int(truncatingIfNeeded: candidate & (1 << Self.half - 1))) }
    }

    @inline(__always)
    private static func candidate(_ key: Key, _ position: Int) -> Candidate {
        Candidate(truncatingIfNeeded: key) << half | Candidate(truncatingIfNeeded: position)
    }

    @inline(__always)
    private mutating func insertAll(_ extent: Int, _ key: (Int) -> Key, _ next: (Int, Key) -> Int) {
        for position in 0..<count { candidates.append(Self.candidate(key(position), position)) }
        candidates.sort()
        let count = count
        var kept = candidates.mutableSpan
        var largest = Key(truncatingIfNeeded: kept[count - 1] >> Self.half)
        var position = count
        while position < extent {
            let key = key(position)
            // A later one that is equal loses.
            if key >= largest {
                position = next(position + 1, largest)
                continue
            }
            let new = Self.candidate(key, position)
            var place = count - 1
            while place > 0, kept[place - 1] > new {
                kept[place] = kept[place - 1]
                place -= 1
            }
            kept[place] = new
            position += 1
            largest = Key(truncatingIfNeeded: kept[count - 1] >> Self.half)
        }
    }

    @inline(__always)
    private mutating func gatherAll(_ extent: Int, _ key: (Int) -> Key, _ next: (Int, Key) -> Int) {
        let capacity = min(extent, max(2 * count, 64))
        var isFull = false
        var largest = Key.max
        var position = 0
        while position < extent {
            let key = key(position)
            if isFull, key >= largest {
                position = next(position + 1, largest)
                continue
            }
            candidates.append(Self.candidate(key, position))
            position += 1
            if candidates.count == capacity, position < extent {
                candidates.sort()
                candidates.removeSubrange(count...)
                (isFull, largest) = (true, Key(truncatingIfNeeded: candidates[count - 1] >> Self.half))
            }
        }
        candidates.sort()
        candidates.removeSubrange(count...)
    }
}
