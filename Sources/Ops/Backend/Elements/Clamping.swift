import GraphRuntime

/// y = x brought into low...high, or high where low is the larger one; what compares with nothing stays. y may be x.
///
/// - Throws: ``TensorError`` where a tensor has other elements or the counts differ.
func clamp<Element: NumericElement>(
    _ x: Tensor, _ low: Element, _ high: Element, into y: MutableTensor, threads: ThreadPool
) throws {
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Element.self)
    guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    @Sendable @inline(__always) func clamped(_ value: Element) -> Element {
        let raised = value < low ? low : value
        return raised > high ? high : raised
    }
    threads.forEachRange(x.count, grain: BroadcastPlan.grain) { range in
        // Loops over what may overlap don't vectorise.
        if unsafe source == UnsafePointer(target) {
            for index in range { unsafe target[index] = unsafe clamped(target[index]) }
        } else {
            for index in range { unsafe target[index] = unsafe clamped(source[index]) }
        }
    }
}
