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
    private var isPaired: Bool { unsafe operands.isPaired }
    /// Input channels whose kernels are transformed before they are rounded to pairs.
    private static let pairedChannels = 4
    /// Floats from one position of a panel of tiles to the next.
    private var tileStep: Int { unsafe operands.steps * rows + 16 }
    private var tilePanelSize: Int { unsafe WinogradOperands.positions * tileStep }
    /// Floats from one position of a block of kernels to the next.
    private var kernelStep: Int { unsafe operands.steps(of: Self.blockChannels) * WinogradOperands.lanes + 16 }
    /// The same of kernels that are transformed but not rounded yet.
    private static let numberStep = unsafe pairedChannels * WinogradOperands.lanes + 16
    private var numberFloats: Int { unsafe isPaired ? WinogradOperands.positions * Self.numberStep + 16 : 0 }
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
            // Two channels at a time, so that no pair is cut.
            unsafe threads.forEachRange((channels + 1) / 2, grain: 8) { pairs in
                let part = unsafe 2 * pairs.lowerBound..<min(2 * pairs.upperBound, channels)
                for panel in unsafe 0..<panels {
                    unsafe operands.transformTiles(
                        tiles(of: panel), channels: part, lanes: rows, into: transformed + panel * tilePanelSize,
                        positionStep: tileStep)
                }
            }
            let lanes = unsafe WinogradOperands.lanes
            let kernelFloats = unsafe WinogradOperands.positions * kernelStep
            let productFloats = unsafe WinogradOperands.positions * productStep + 16
            let widenedFloats = unsafe panelsOfKernels?.widenedSize(depth: 9 * Self.blockChannels) ?? 0
            let floats = unsafe kernelFloats + productFloats + widenedFloats + numberFloats
            let tasks = (geometry.outputChannels + lanes - 1) / lanes
            unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
                let kernels = unsafe scratch.assumingMemoryBound(to: Float.self)
                let outputs = task * lanes..<min((task + 1) * lanes, geometry.outputChannels)
                let products = unsafe kernels + kernelFloats
                let widened = unsafe products + productFloats
                unsafe multiply(
                    transformed, outputs, kernels: kernels, products: products, widened: widened,
                    numbers: widened + widenedFloats)
            }
        }
    }

    private func multiply(
        _ transformed: UnsafePointer<Float>, _ outputs: Range<Int>, kernels: UnsafeMutablePointer<Float>,
        products: UnsafeMutablePointer<Float>, widened: UnsafeMutablePointer<Float>, numbers: UnsafeMutablePointer<Float>
    ) {
        let lanes = unsafe WinogradOperands.lanes
        let multiply = unsafe isPaired ? ck_gemm_pairs_kernel : ck_gemm_kernel
        for first in unsafe stride(from: 0, to: channels, by: Self.blockChannels) {
            let block = unsafe first..<min(first + Self.blockChannels, channels)
            unsafe transformKernels(outputs, block, into: kernels, widened: widened, numbers: numbers)
            for position in unsafe 0..<WinogradOperands.positions {
                for panel in unsafe 0..<panels {
                    let product = unsafe products + position * productStep + panel * rows * lanes
                    unsafe multiply(
                        PackedProduct.level, Int32(tiles(of: panel).count), operands.steps(of: block.count),
                        transformed + panel * tilePanelSize + position * tileStep + operands.steps(of: first) * rows, rows,
                        kernels + position * kernelStep, first == 0 ? nil : UnsafePointer(product), lanes, product, lanes, nil,
                        0)
                }
            }
        }
        for tile in unsafe 0..<operands.geometry.tileCount {
            unsafe operands.geometry.transformOutput(
                products + tile * lanes, positionStep: productStep, channels: outputs, bias: operands.bias, tile: tile,
                finish: operands.finish, residual: operands.residual, into: operands.output)
        }
    }

    /// A block of a panel's kernels, [position][step][lane].
    private func transformKernels(
        _ outputs: Range<Int>, _ block: Range<Int>, into kernels: UnsafeMutablePointer<Float>,
        widened: UnsafeMutablePointer<Float>, numbers: UnsafeMutablePointer<Float>
    ) {
        let lanes = unsafe WinogradOperands.lanes
        let panel = unsafe panelsOfKernels.map {
            unsafe $0.numbers(column: outputs.lowerBound, inner: 9 * block.lowerBound, depth: 9 * block.count, memory: widened)
        }
        func transform(_ part: Range<Int>, into target: UnsafeMutablePointer<Float>, _ positionStep: Int) {
            if let panel = unsafe panel {
                unsafe ck_winograd_packed_weights(
                    panel + 9 * (part.lowerBound - block.lowerBound) * lanes, part.count, Int32(lanes), target, positionStep)
            } else {
                unsafe operands.kernels.transform(
                    outputs, channels: part, rows: lanes, into: target, positionStep: positionStep)
            }
        }
        guard unsafe isPaired else { return unsafe transform(block, into: kernels, kernelStep) }
        for first in unsafe stride(from: block.lowerBound, to: block.upperBound, by: Self.pairedChannels) {
            let part = unsafe first..<min(first + Self.pairedChannels, block.upperBound)
            unsafe transform(part, into: numbers, Self.numberStep)
            unsafe ck_winograd_pairs(
                numbers, Self.numberStep, part.count, Int32(lanes),
                kernels + operands.steps(of: first - block.lowerBound) * lanes, kernelStep)
        }
    }
}
