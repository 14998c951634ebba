import GraphRuntime

/// y = x, broadcast to y's shape, of elements with as many bits.
///
/// - Throws: ``TensorError`` where they have another size.
func expandBits<Bits: TensorBits>(_: Bits.Type, _ x: Tensor, _ y: MutableTensor, _ threads: ThreadPool) throws {
    for tensor in [x, y.tensor] { try Bits.check(tensor.dtype) }
    guard y.count > 0 else { return }
    nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: Bits.self)
    nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: Bits.self)
    let plan = BroadcastPlan(output: y.shape, x.shape)
    plan.forEachRow(threads) { row in
        if plan.steps.0 == 0 {
            unsafe (target + row.output).update(repeating: source[row.offsets.0], count: row.count)
        } else {
            unsafe (target + row.output).update(from: source + row.offsets.0, count: row.count)
        }
    }
}
