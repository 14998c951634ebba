import CKernels
import GraphRuntime

/// Minimal filtering of so few tiles that the sums of a row of positions are registers: kernels are transformed, row by row of
/// positions, where they are multiplied, and nothing of that is written to memory. All tiles are transformed first; then each task takes
/// the kernels of a panel of output channels, which pass by once.
@unsafe
struct WinogradByRows: @unchecked Sendable {
    private let operands: WinogradOperands
    /// The weights in panels of output channels, if they were packed.
    private let panelsOfKernels: StoredPanels?
    private let tiles: Int
    private let channels: Int

    /// With more tiles than this, kernels are transformed too often: once for each group of tiles. Those of more kernels than caches keep are
    /// transformed while the next ones are read, which takes longer; with AVX2's small groups that doesn't pay either.
    static func mostTiles(kernels: Int) -> Int { unsafe kernels <= 1 << 18 || groupSize < 4 ? 8 : 16 }

    private static let lanes = unsafe WinogradOperands.lanes
    private static let positions = unsafe WinogradOperands.positions
    private static let blockChannels = Int(CK_WINOGRAD_BLOCK)
    /// Channels of kernels that are packed at once, where they weren't before; packed ones of fewer bits are widened a block at a time, which
    /// the first-level cache holds, or as many as their panels can be cut after.
    private var packedChannels: Int {
        guard let panels = unsafe panelsOfKernels else { return unsafe 4 * Self.blockChannels }
        var count = unsafe Self.blockChannels
        while unsafe 9 * count % panels.groupSteps != 0 { count *= 2 }
        return count
    }
    /// Tiles whose sums are registers at the same time.
    private static let groupSize = unsafe Int(ck_winograd_tile_group(PackedProduct.level))

    init(_ operands: WinogradOperands, panels panelsOfKernels: StoredPanels?) {
        unsafe self.operands = unsafe operands
        unsafe self.panelsOfKernels = unsafe panelsOfKernels
        unsafe tiles = unsafe operands.geometry.tileCount
        unsafe channels = unsafe operands.geometry.inputChannels
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let valueFloats = unsafe Self.positions * tiles * channels
        unsafe try threads.withWorkspace(byteCount: valueFloats * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            nonisolated(unsafe) let values = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe try transformTiles(into: values, threads: threads)
            let sumFloats = unsafe Self.positions * tiles * Self.lanes
            let scratchFloats = unsafe 12 * Self.blockChannels * Self.lanes
            // Packing may write 16 floats behind the panel.
            let packedFloats =
                unsafe panelsOfKernels?.widenedSize(depth: 9 * packedChannels) ?? (9 * packedChannels * Self.lanes + 16)
            let tasks = unsafe (operands.geometry.outputChannels + Self.lanes - 1) / Self.lanes
            let floats = sumFloats + scratchFloats + packedFloats
            unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
                let sums = unsafe scratch.assumingMemoryBound(to: Float.self)
                let outputs = unsafe task * Self.lanes..<min((task + 1) * Self.lanes, operands.geometry.outputChannels)
                let rows = unsafe sums + sumFloats
                if let panelsOfKernels = unsafe panelsOfKernels, unsafe !panelsOfKernels.widens {
                    let panel = unsafe panelsOfKernels.place(column: outputs.lowerBound, inner: 0)
                    unsafe multiply(panel, 0..<channels, values, into: sums, rows: rows)
                } else {
                    unsafe multiply(outputs, values, into: sums, rows: rows, packed: rows + scratchFloats)
                }
                unsafe transformSums(sums, outputs)
            }
        }
    }

    private func transformTiles(into values: UnsafeMutablePointer<Float>, threads: ThreadPool) throws(TensorError) {
        let byteCount = unsafe Self.positions * tiles * MemoryLayout<Float>.stride
        let part = 32
        nonisolated(unsafe) let values = unsafe values
        unsafe try threads.forEach((channels + part - 1) / part, scratchBytes: byteCount) { task, scratch in
            let transformed = unsafe scratch.assumingMemoryBound(to: Float.self)
            for channel in unsafe task * part..<min((task + 1) * part, channels) {
                unsafe operands.geometry.transformInput(
                    operands.input, channel: channel, tiles: 0..<tiles, into: transformed, positionStep: tiles)
                unsafe ck_winograd_tile_values(transformed, tiles, Int32(tiles), channel, channels, values)
            }
        }
    }

    /// Adds up the products of a panel's kernels of some input channels, the first of which begin the sums.
    private func multiply(
        _ panel: UnsafePointer<Float>, _ part: Range<Int>, _ values: UnsafePointer<Float>,
        into sums: UnsafeMutablePointer<Float>, rows: UnsafeMutablePointer<Float>
    ) {
        unsafe ck_winograd_multiply_rows(
            panel, part.count, Int32(Self.lanes), values + Self.positions * tiles * part.lowerBound, Int32(tiles),
            part.lowerBound == 0 ? 1 : 0, sums, rows)
    }

    /// The same of kernels that aren't float32 in panels yet, some input channels at a time.
    private func multiply(
        _ outputs: Range<Int>, _ values: UnsafePointer<Float>, into sums: UnsafeMutablePointer<Float>,
        rows: UnsafeMutablePointer<Float>, packed: UnsafeMutablePointer<Float>
    ) {
        for first in unsafe stride(from: 0, to: channels, by: packedChannels) {
            let part = unsafe first..<min(first + packedChannels, channels)
            if let panelsOfKernels = unsafe panelsOfKernels {
                _ = unsafe panelsOfKernels.numbers(
                    column: outputs.lowerBound, inner: 9 * first, depth: 9 * part.count, memory: packed)
            } else if let weights = unsafe operands.kernels.single(output: outputs.lowerBound, input: first) {
                unsafe PanelLayout(width: Self.lanes, columns: outputs.count, depth: part.count * 9, isTransposed: true).pack(
                    weights, step: channels * 9, into: packed)
            }
            unsafe multiply(packed, part, values, into: sums, rows: rows)
        }
    }

    private func transformSums(_ sums: UnsafePointer<Float>, _ outputs: Range<Int>) {
        for tile in unsafe 0..<tiles {
            let first = unsafe tile / Self.groupSize * Self.groupSize
            let size = unsafe min(Self.groupSize, tiles - first)
            unsafe operands.geometry.transformOutput(
                sums + (Self.positions * first + tile - first) * Self.lanes, positionStep: size * Self.lanes, channels: outputs,
                bias: operands.bias, tile: tile, finish: operands.finish, residual: operands.residual, into: operands.output)
        }
    }
}
