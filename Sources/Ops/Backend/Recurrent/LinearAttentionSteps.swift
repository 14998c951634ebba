#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif
import GraphRuntime

extension LinearAttention {
    /// The steps of all sequences, head by head.
    ///
    /// - Parameters:
    ///   - tensors: queries, keys, values, and after the past state decay and rates, of shapes that fit `sizes`.
    ///   - states: the states before the first step, which become those after the last.
    func attend(
        _ tensors: [Tensor?], _ sizes: Sizes, states: MutableTensor, results: MutableTensor, scale: Float, threads: ThreadPool
    ) throws {
        guard let q = tensors[0], let k = tensors[1], let v = tensors[2] else { throw TensorError("an input is missing") }
        nonisolated(unsafe) let decay = unsafe try tensors[4].map {
            unsafe (try $0.buffer(of: Float.self), $0.shape[2] == heads ? 1 : sizes.key, $0.shape[2])
        }
        nonisolated(unsafe) let beta = unsafe try tensors[5].map { unsafe (try $0.buffer(of: Float.self), $0.shape[2]) }
        nonisolated(unsafe) let (queries, keys, values) = unsafe (
            try q.buffer(of: Float.self), try k.buffer(of: Float.self), try v.buffer(of: Float.self)
        )
        nonisolated(unsafe) let (states, results) = unsafe (
            try states.buffer(of: Float.self), try results.buffer(of: Float.self)
        )
        let (m, n, group) = (sizes.key, sizes.value, queryHeads / heads)
        threads.forEachRange(sizes.batch * heads, grain: 1) { range in
            var change = [Float](repeating: 0, count: n)
            for line in range {
                let (item, head) = (line / heads, line % heads)
                let state = line * m * n
                for step in item * sizes.length..<(item + 1) * sizes.length {
                    let (key, value) = ((step * heads + head) * m, (step * heads + head) * n)
                    if rule.isGated, let (gates, width, row) = unsafe decay {
                        for i in 0..<m {
                            let factor = unsafe exp(gates[step * row + head * width + (width == 1 ? 0 : i)])
                            for j in 0..<n { unsafe states[state + i * n + j] *= factor }
                        }
                    }
                    for j in 0..<n { change[j] = unsafe values[value + j] }
                    if rule.isDelta, let (rates, row) = unsafe beta {
                        for i in 0..<m { for j in 0..<n { unsafe change[j] -= keys[key + i] * states[state + i * n + j] } }
                        let rate = unsafe rates[step * row + (row == 1 ? 0 : head)]
                        for j in 0..<n { change[j] *= rate }
                    }
                    for i in 0..<m { for j in 0..<n { unsafe states[state + i * n + j] += keys[key + i] * change[j] } }
                    for member in 0..<group {
                        let place = step * queryHeads + head * group + member
                        for j in 0..<n {
                            var sum: Float = 0
                            for i in 0..<m { unsafe sum += queries[place * m + i] * states[state + i * n + j] }
                            unsafe results[place * n + j] = scale * sum
                        }
                    }
                }
            }
        }
    }
}
