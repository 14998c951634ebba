import GraphRuntime

/// Combines the slices of `updates` with those of `output` that `offsets` name, in their order.
///
/// - Parameters:
///   - offsets: for each slice of `updates` the slice of `output` that it goes to.
///   - inner: the elements of a slice.
/// - Throws: ``TensorError`` where a tensor has other elements than the kernel, or a slice isn't there.
func combineSlices<Kernel: BinaryKernel>(
    _: Kernel.Type, _ updates: Tensor, into output: MutableTensor, offsets: [Int], inner: Int
) throws where Kernel.Left == Kernel.Output, Kernel.Right == Kernel.Output {
    guard inner > 0, !offsets.isEmpty else { return }
    let slices = output.count / inner
    guard updates.count == offsets.count * inner, offsets.allSatisfy({ $0 >= 0 && $0 < slices }) else {
        throw TensorError("slices of \(inner) elements of \(updates.shape) don't fit \(output.shape)")
    }
    let updates = try updates.aligned()
    defer { withExtendedLifetime(updates) {} }
    let source = unsafe try updates.pointer(to: Kernel.Output.self)
    let target = unsafe try output.pointer(to: Kernel.Output.self)
    if inner == 1 {
        for (index, offset) in offsets.enumerated() {
            unsafe target[offset] = unsafe Kernel.apply(target[offset], source[index])
        }
        return
    }
    for (index, offset) in offsets.enumerated() {
        let slice = unsafe target + offset * inner
        unsafe Kernel.row(slice, 1, source + index * inner, 1, slice, inner)
    }
}
