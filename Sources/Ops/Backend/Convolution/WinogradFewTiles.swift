import CKernels
import GraphRuntime

/// Minimal filtering of small pictures, whose tiles fill no panel of lanes: the tiles are the rows of the products and the output
/// channels their columns. All tiles are transformed first; then each task takes the kernels of a panel of output channels, a block of
/// input channels at a time, and adds their products up. Kernels that were packed in panels of output channels are transformed without
/// being turned in registers first.
@unsafe struct WinogradFewTiles: @unchecked Sendable {
    private let operands: WinogradOperands
    /// The weights in panels of output channels, if they were packed.
    private let panelsOfKernels: StoredPanels?
    /// Tiles of a panel.
    private let rows: Int
    private let panels: Int

    /// Input channels whose transformed kernels fit the second-level cache beside the tiles and the products: 0.3 MB of a panel's.
    private static let blockChannels = 64

    init(_ operands: WinogradOperands, panels panelsOfKernels: StoredPanels?) {
        unsafe self.operands = unsafe operands
        unsafe self.panelsOfKernels = unsafe panelsOfKernels
        unsafe panels = unsafe (operands.geometry.tileCount + WinogradOperands.rows - 1) / WinogradOperands.rows
        unsafe rows = unsafe (operands.geometry.tileCount + panels - 1) / panels
    }

    private var channels: Int { unsafe operands.geometry.inputChannels }
    /// Floats from one position of a panel of tiles to the next.
    private var tileStep: Int { unsafe channels * rows + 16 }
    private var tilePanelSize: Int { unsafe WinogradOperands.positions * tileStep }
    /// Floats from one position of a block of kernels to the next.
    private var kernelStep: Int { unsafe Self.blockChannels * WinogradOperands.lanes + 16 }
    /// Floats from one position of the products to the next.
    private var productStep: Int { unsafe panels * rows * WinogradOperands.lanes }

    private func tiles(of panel: Int) -> Range<Int> {
        unsafe panel * rows..<min((panel + 1) * rows, operands.geometry.tileCount)
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let geometry = unsafe operands.geometry
        unsafe try threads.withWorkspace(byteCount: panels * tilePanelSize * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            nonisolated(unsafe) let transformed = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe threads.forEachRange(channels, grain: 16) { part in
                for panel in unsafe 0..<panels {
                    for channel in part {
                        unsafe geometry.transformInput(
                            operands.input, channel: channel, tiles: tiles(of: panel),
                            into: transformed + panel * tilePanelSize + channel * rows, positionStep: tileStep)
                    }
                }
            }
            let lanes = unsafe WinogradOperands.lanes
            let kernelFloats = unsafe WinogradOperands.positions * kernelStep
            let productFloats = unsafe WinogradOperands.positions * productStep + 16
            let widenedFloats = unsafe panelsOfKernels?.widenedSize(depth: 9 * Self.blockChannels) ?? 0
            let floats = kernelFloats + productFloats + widenedFloats
            let tasks = (geometry.outputChannels + lanes - 1) / lanes
            unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
                let kernels = unsafe scratch.assumingMemoryBound(to: Float.self)
                let outputs = task * lanes..<min((task + 1) * lanes, geometry.outputChannels)
                let products = unsafe kernels + kernelFloats
                unsafe multiply(transformed, outputs, kernels: kernels, products: products, widened: products + productFloats)
            }
        }
    }

    private func multiply(
        _ transformed: UnsafePointer<Float>, _ outputs: Range<Int>, kernels: UnsafeMutablePointer<Float>,
        products: UnsafeMutablePointer<Float>, widened: UnsafeMutablePointer<Float>
    ) {
        let lanes = unsafe WinogradOperands.lanes
        for first in unsafe stride(from: 0, to: channels, by: Self.blockChannels) {
            let block = unsafe min(Self.blockChannels, channels - first)
            if let panelsOfKernels = unsafe panelsOfKernels {
                let panel = unsafe panelsOfKernels.numbers(
                    column: outputs.lowerBound, inner: 9 * first, depth: 9 * block, memory: widened)
                unsafe ck_winograd_packed_weights(panel, block, Int32(lanes), kernels, kernelStep)
            } else if let weights = unsafe operands.kernels.single(output: outputs.lowerBound, input: first) {
                unsafe ck_winograd_weights(
                    weights, channels * 9, block, Int32(outputs.count), Int32(lanes), kernels, kernelStep)
            }
            for position in unsafe 0..<WinogradOperands.positions {
                for panel in unsafe 0..<panels {
                    let product = unsafe products + position * productStep + panel * rows * lanes
                    unsafe ck_gemm_kernel(
                        PackedProduct.level, Int32(tiles(of: panel).count), block,
                        transformed + panel * tilePanelSize + position * tileStep + first * rows, rows,
                        kernels + position * kernelStep, first == 0 ? nil : UnsafePointer(product), lanes, product, lanes, nil,
                        0)
                }
            }
        }
        for tile in unsafe 0..<operands.geometry.tileCount {
            unsafe operands.geometry.transformOutput(
                products + tile * lanes, positionStep: productStep, channels: outputs, bias: operands.bias, tile: tile,
                into: operands.output)
        }
    }
}
