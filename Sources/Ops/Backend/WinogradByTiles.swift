import GraphRuntime

/// Minimal filtering of large pictures: all kernels are transformed first; then each task takes a few panels of tiles through all of
/// it, transform, products and transform back, while they are in its cache. The kernels pass by.
struct WinogradByTiles {
    private let operands: WinogradOperands
    /// Panels of tiles of a task.
    private let taskPanels: Int

    /// Panels of kernels that meet the tiles of a position before the next one's turn.
    private static let kernelPanels = 4

    init(_ operands: WinogradOperands, threads: Int) {
        self.operands = operands
        // Two panels of up to 256 channels fit the second-level cache. More channels don't, however few panels are taken at once:
        // then four of them share what is read of the kernels.
        let fitting = operands.geometry.inputChannels <= 256 ? 2 : 4
        taskPanels = max(min(fitting, operands.tilePanels / (2 * threads)), 1)
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let operands = operands
        let kernelFloats = operands.kernelPanels * operands.kernelPanelSize
        try threads.withWorkspace(byteCount: kernelFloats * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            let kernels = memory.assumingMemoryBound(to: Float.self)
            threads.forEach(operands.kernelPanels) { panel in
                operands.transformKernels(panel, into: kernels + panel * operands.kernelPanelSize)
            }
            try multiply(kernels, threads: threads)
        }
    }

    private func multiply(_ kernels: UnsafePointer<Float>, threads: ThreadPool) throws(TensorError) {
        let operands = operands
        let tasks = (operands.tilePanels + taskPanels - 1) / taskPanels
        let tileFloats = taskPanels * operands.tilePanelSize
        let floats = tileFloats + taskPanels * Self.kernelPanels * operands.productPanelSize
        try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let transformed = scratch.assumingMemoryBound(to: Float.self)
            let products = transformed + tileFloats
            let tilePanels = task * taskPanels..<min((task + 1) * taskPanels, operands.tilePanels)
            for panel in tilePanels {
                operands.transformTiles(
                    panel, channels: 0..<operands.geometry.inputChannels,
                    into: transformed + (panel - tilePanels.lowerBound) * operands.tilePanelSize)
            }
            for first in stride(from: 0, to: operands.kernelPanels, by: Self.kernelPanels) {
                let kernelPanels = first..<min(first + Self.kernelPanels, operands.kernelPanels)
                func product(_ tile: Int, _ kernel: Int) -> UnsafeMutablePointer<Float> {
                    products + ((tile - tilePanels.lowerBound) * Self.kernelPanels + kernel - first) * operands.productPanelSize
                }
                for position in 0..<WinogradOperands.positions {
                    for tile in tilePanels {
                        for kernel in kernelPanels {
                            operands.multiply(
                                kernels + kernel * operands.kernelPanelSize,
                                transformed + (tile - tilePanels.lowerBound) * operands.tilePanelSize, position: position,
                                into: product(tile, kernel), part: kernel - first, of: kernelPanels.count)
                        }
                    }
                }
                for tile in tilePanels {
                    for kernel in kernelPanels {
                        operands.transformProducts(product(tile, kernel), kernelPanel: kernel, tilePanel: tile)
                    }
                }
            }
        }
    }
}
