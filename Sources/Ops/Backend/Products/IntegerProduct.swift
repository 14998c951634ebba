import GraphRuntime

/// c[m, n] = a[m, k] b[k, n] in 32-bit integers that wrap around, for a and b from some element of theirs on, and c from element `start`
/// of `result` on.
///
/// - Throws: ``TensorError`` where there are fewer elements than that.
func multiplyIntegers(
    _ a: [Int32], from firstOfA: Int = 0, _ b: [Int32], from firstOfB: Int = 0, into result: MutableTensor, at start: Int,
    m: Int, k: Int, n: Int, threads: ThreadPool
) throws(TensorError) {
    guard m >= 0, k >= 0, n >= 0, firstOfA >= 0, firstOfB >= 0, start >= 0, firstOfA + m * k <= a.count,
        firstOfB + k * n <= b.count, start + m * n <= result.count
    else { throw TensorError("a product of \(m)×\(k) and \(k)×\(n) integers doesn't fit its operands") }
    nonisolated(unsafe) let c = unsafe try result.pointer(to: Int32.self) + start
    threads.forEachRange(m, grain: max(BroadcastPlan.grain / max(k * n, 1), 1)) { rows in
        for row in rows {
            let line = unsafe c + row * n
            for column in 0..<n { unsafe line[column] = 0 }
            for index in 0..<k {
                let factor = a[firstOfA + row * k + index]
                if factor == 0 { continue }
                let place = firstOfB + index * n
                for column in 0..<n { unsafe line[column] &+= factor &* b[place + column] }
            }
        }
    }
}
