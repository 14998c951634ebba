import GraphRuntime

/// y = condition ? x : other, all broadcast to y's shape, of elements with as many bits.
///
/// - Throws: ``TensorError`` where the tensors' types differ or have other sizes.
func preparedSelection<Bits: TensorBits>(
    ofBits _: Bits.Type, _ condition: Tensor, _ x: Tensor, _ other: Tensor, into y: MutableTensor
) throws -> PreparedRun {
    guard x.dtype == y.dtype, other.dtype == y.dtype else {
        throw TensorError("can't choose between \(x.dtype) and \(other.dtype)")
    }
    for tensor in [x, other, y.tensor] { try Bits.check(tensor.dtype) }
    nonisolated(unsafe) let flags = unsafe try condition.pointer(to: TruthByte.self)
    guard y.count > 0 else { return { _ in } }
    nonisolated(unsafe) let left = unsafe x.start.assumingMemoryBound(to: Bits.self)
    nonisolated(unsafe) let right = unsafe other.start.assumingMemoryBound(to: Bits.self)
    nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: Bits.self)
    let plan = BroadcastPlan(output: y.shape, condition.shape, x.shape, other.shape)
    let steps = plan.steps
    return { threads in
        plan.forEachRow(threads) { row in
            let a = unsafe left + row.offsets.1
            let b = unsafe right + row.offsets.2
            let result = unsafe target + row.output
            if steps.0 == 0 {
                let isFirst = unsafe flags[row.offsets.0].byte != 0
                let source = unsafe isFirst ? a : b
                let step = isFirst ? steps.1 : steps.2
                if step == 0 {
                    unsafe result.update(repeating: source[0], count: row.count)
                } else {
                    unsafe result.update(from: source, count: row.count)
                }
            } else if steps.1 == 1 && steps.2 == 1 {
                // Both are read whatever the flag, so that the loop vectorises.
                for index in 0..<row.count {
                    let (first, second) = unsafe (a[index], b[index])
                    unsafe result[index] = unsafe flags[row.offsets.0 + index].byte != 0 ? first : second
                }
            } else if steps.1 == 1 {
                let fixed = unsafe b[0]
                for index in 0..<row.count {
                    let first = unsafe a[index]
                    unsafe result[index] = unsafe flags[row.offsets.0 + index].byte != 0 ? first : fixed
                }
            } else if steps.2 == 1 {
                let fixed = unsafe a[0]
                for index in 0..<row.count {
                    let second = unsafe b[index]
                    unsafe result[index] = unsafe flags[row.offsets.0 + index].byte != 0 ? fixed : second
                }
            } else {
                let (first, second) = unsafe (a[0], b[0])
                for index in 0..<row.count {
                    unsafe result[index] = unsafe flags[row.offsets.0 + index].byte != 0 ? first : second
                }
            }
        }
    }
}
