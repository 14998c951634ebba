import CKernels
import GraphRuntime

/// Weights of groups in panels of 32 outputs of pairs of bfloat16, see `amx_windows.h`: [group][panel][block of channels][place of the
/// window][pair of channels][output].
struct TileWeightLayout: Sendable {
    let groups: Int
    /// Outputs, and channels, of a group.
    let outputs: Int
    let channels: Int
    /// Places of a window.
    let taps: Int

    private static let panel = Int(CK_AMX_PANEL)

    /// Panels of a group.
    var panels: Int { (outputs + Self.panel - 1) / Self.panel }
    /// Blocks of channels.
    var blocks: Int { (channels + Int(CK_AMX_BLOCK) - 1) / Int(CK_AMX_BLOCK) }
    /// Numbers of an output.
    var depth: Int { channels * taps }
    private var panelStep: Int { blocks * taps * Int(CK_AMX_STEP) }

    var floatCount: Int { groups * panels * panelStep }

    func place(group: Int, panel: Int) -> Int { (group * panels + panel) * panelStep }

    /// The outputs of a panel, counted in the group.
    func outputs(of panel: Int) -> Range<Int> { panel * Self.panel..<min((panel + 1) * Self.panel, outputs) }

    /// - Parameter weights: [groups · outputs, channels, taps], of float32 or of 16-bit floats.
    /// - Throws: ``TensorError`` where the weights are of another type, and where there is no memory to widen a panel into.
    func pack(_ weights: Tensor, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) throws(TensorError) {
        if weights.dtype.isHalf {
            let numbers = try HalfMatrix(weights, step: depth)
            return unsafe try pack(into: target, threads: threads) { row, count, memory in
                unsafe numbers.widen(row: row, column: 0, count: count * depth, into: memory)
            }
        }
        let source = try weights.aligned()
        try withExtendedLifetime(source) { () throws(TensorError) in
            nonisolated(unsafe) let numbers = unsafe try source.pointer(to: Float.self)
            nonisolated(unsafe) let target = unsafe target
            threads.forEach(groups * panels) { index in
                unsafe pack(index, numbers + firstRow(of: index) * depth, into: target)
            }
        }
    }

    /// - Parameter widen: writes the numbers of `count` rows, [count, channels, taps].
    /// - Throws: ``TensorError`` where there is no memory for a panel's rows.
    func pack(
        into target: UnsafeMutablePointer<Float>, threads: ThreadPool,
        widen: @Sendable (_ row: Int, _ count: Int, _ numbers: UnsafeMutablePointer<Float>) -> Void
    ) throws(TensorError) {
        nonisolated(unsafe) let target = unsafe target
        let scratchBytes = Self.panel * depth * MemoryLayout<Float>.stride
        unsafe try threads.forEach(groups * panels, scratchBytes: scratchBytes) { index, scratch in
            let numbers = unsafe scratch.assumingMemoryBound(to: Float.self)
            unsafe widen(firstRow(of: index), outputs(of: index % panels).count, numbers)
            unsafe pack(index, numbers, into: target)
        }
    }

    /// The row of the weights that is the first output of a panel, of all groups' panels one after the other.
    private func firstRow(of index: Int) -> Int { index / panels * outputs + index % panels * Self.panel }

    /// - Parameter rows: those of the panel.
    private func pack(_ index: Int, _ rows: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
        unsafe ck_amx_pack_windows(
            rows, depth, channels, taps, Int32(outputs(of: index % panels).count), target + index * panelStep)
    }

    /// The constant in this order.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32 || weights.dtype.isHalf, weights.count == groups * outputs * channels * taps else {
            return nil
        }
        return constants.constant(weights, form: "tiles of \(groups)×\(outputs)×\(channels)×\(taps)") {
            weights, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([floatCount]))
            unsafe try pack(weights, into: try result.pointer(to: Float.self), threads: threads)
            return result.tensor
        }
    }
}
