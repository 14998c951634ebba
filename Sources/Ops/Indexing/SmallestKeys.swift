/// The positions of the `count` smallest of `extent` keys, smallest first, of equal ones the first.
///
/// Most keys are only compared with the largest of those that are kept: whenever there are twice as many candidates as are wanted, they
/// are sorted and the worse half is dropped. A candidate is one number, a key before its position.
///
/// - Parameter count: at most `extent`.
@inline(__always)
func positionsOfSmallest<Key: FixedWidthInteger & UnsignedInteger>(_ count: Int, of extent: Int, key: (Int) -> Key) -> [Int] {
    Key.bitWidth <= 32 && extent <= UInt32.max
        ? positionsOfSmallest(UInt64.self, count, of: extent, key: key)
        : positionsOfSmallest(UInt128.self, count, of: extent, key: key)
}

@inline(__always)
private func positionsOfSmallest<Candidate: FixedWidthInteger, Key: FixedWidthInteger>(
    _ type: Candidate.Type, _ count: Int, of extent: Int, key: (Int) -> Key
) -> [Int] {
    guard count > 0 else { return [] }
    let half = Candidate.bitWidth / 2
    let capacity = min(extent, max(2 * count, 64))
    var candidates: [Candidate] = []
    candidates.reserveCapacity(capacity)
    var isFull = false
    var largest = Key.max
    for position in 0..<extent {
        let key = key(position)
        // A later one that is equal loses.
        if isFull, key >= largest { continue }
        candidates.append(Candidate(truncatingIfNeeded: key) << half | Candidate(truncatingIfNeeded: position))
        if candidates.count == capacity, position + 1 < extent {
            candidates.sort()
            candidates.removeSubrange(count...)
            (isFull, largest) = (true, Key(truncatingIfNeeded: candidates[count - 1] >> half))
        }
    }
    candidates.sort()
    return candidates.prefix(count).map { Int(truncatingIfNeeded: $0 & ((1 << half) - 1)) }
}
