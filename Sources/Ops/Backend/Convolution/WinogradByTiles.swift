import GraphRuntime

/// Minimal filtering of large pictures: all kernels are transformed first; then each task takes a few panels of tiles through all of
/// it, transform, products and transform back, while they are in its cache. The kernels pass by.
@unsafe
struct WinogradByTiles: @unchecked Sendable {
    private let operands: WinogradOperands
    /// Panels of tiles of a task.
    private let taskPanels: Int

    /// Panels of kernels that meet the tiles of a position before the next one's turn.
    private static let kernelPanels = 4

    init(_ operands: WinogradOperands, threads: Int) {
        unsafe self.operands = unsafe operands
        // Two panels of up to 256 steps fit the second-level cache. More don't, however few panels are taken at once:
        // then four of them share what is read of the kernels.
        let fitting = unsafe operands.steps <= 256 ? 2 : 4
        unsafe taskPanels = unsafe max(min(fitting, operands.tilePanels / (2 * threads)), 1)
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let operands = unsafe operands
        let kernelFloats = unsafe operands.kernelPanels * operands.kernelPanelSize
        unsafe try threads.withWorkspace(byteCount: kernelFloats * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            nonisolated(unsafe) let kernels = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe threads.forEach(operands.kernelPanels) { panel in
                unsafe operands.transformKernels(panel, into: kernels + panel * operands.kernelPanelSize)
            }
            unsafe try multiply(kernels, threads: threads)
        }
    }

    private func multiply(_ kernels: UnsafePointer<Float>, threads: ThreadPool) throws(TensorError) {
        let operands = unsafe operands
        let tasks = unsafe (operands.tilePanels + taskPanels - 1) / taskPanels
        let tileFloats = unsafe taskPanels * operands.tilePanelSize
        let floats = unsafe tileFloats + taskPanels * Self.kernelPanels * operands.productPanelSize
        nonisolated(unsafe) let kernels = unsafe kernels
        unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let transformed = unsafe scratch.assumingMemoryBound(to: Float.self)
            let products = unsafe transformed + tileFloats
            let tilePanels = unsafe task * taskPanels..<min((task + 1) * taskPanels, operands.tilePanels)
            for panel in tilePanels {
                unsafe operands.transformTiles(
                    panel, channels: 0..<operands.geometry.inputChannels,
                    into: transformed + (panel - tilePanels.lowerBound) * operands.tilePanelSize)
            }
            for first in unsafe stride(from: 0, to: operands.kernelPanels, by: Self.kernelPanels) {
                let kernelPanels = unsafe first..<min(first + Self.kernelPanels, operands.kernelPanels)
                func product(_ tile: Int, _ kernel: Int) -> UnsafeMutablePointer<Float> {
                    unsafe products + ((tile - tilePanels.lowerBound) * Self.kernelPanels + kernel - first)
                        * operands.productPanelSize
                }
                for position in unsafe 0..<WinogradOperands.positions {
                    for tile in tilePanels {
                        for kernel in kernelPanels {
                            unsafe operands.multiply(
                                kernels + kernel * operands.kernelPanelSize,
                                transformed + (tile - tilePanels.lowerBound) * operands.tilePanelSize, position: position,
                                into: product(tile, kernel), part: kernel - first, of: kernelPanels.count)
                        }
                    }
                }
                for tile in tilePanels {
                    for kernel in kernelPanels {
                        unsafe operands.transformProducts(product(tile, kernel), kernelPanel: kernel, tilePanel: tile)
                    }
                }
            }
        }
    }
}
