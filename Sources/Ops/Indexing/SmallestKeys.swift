/// The positions of the `count` smallest of `extent` keys, smallest first, of equal ones the first.
///
/// Most keys are only compared with the largest of those that are kept: whenever there are twice as many candidates as are wanted, they
/// are sorted and the worse half is dropped.
///
/// - Parameter count: at most `extent`.
@inline(__always)
func positionsOfSmallest(_ count: Int, of extent: Int, key: (Int) -> UInt64) -> [Int] {
    guard count > 0 else { return [] }
    let capacity = min(extent, max(2 * count, 64))
    var candidates: [(key: UInt64, position: Int)] = []
    candidates.reserveCapacity(capacity)
    var isFull = false
    var largest = UInt64.max
    for position in 0..<extent {
        let key = key(position)
        // A later one that is equal loses.
        if isFull, key >= largest { continue }
        candidates.append((key, position))
        if candidates.count == capacity, position + 1 < extent {
            candidates.sort { $0 < $1 }
            candidates.removeSubrange(count...)
            (isFull, largest) = (true, candidates[count - 1].key)
        }
    }
    candidates.sort { $0 < $1 }
    return candidates.prefix(count).map(\.position)
}
