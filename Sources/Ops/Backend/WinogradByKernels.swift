import GraphRuntime

/// Minimal filtering where kernels outweigh the pictures: tiles are transformed into panels, a block of panels at a time, small enough
/// for the last-level cache. Then each task takes a few output channels: it transforms their kernels, multiplies them with every panel
/// at each of the 36 positions, and transforms the products back while they are in its cache. Kernels are transformed again for each
/// block, which costs little beside the products and saves four times their memory.
struct WinogradByKernels {
    private let operands: WinogradOperands
    /// Panels of tiles that are transformed at once.
    private let blockPanels: Int

    /// Bytes of transformed pictures at once.
    private static let blockBytes = 12 << 20
    /// Kernels, or tiles, of one position that share the second-level cache with the other.
    private static let sliceBytes = 96 << 10

    init(_ operands: WinogradOperands) {
        self.operands = operands
        let panels = operands.tilePanels
        let fitting = max(Self.blockBytes / (operands.tilePanelSize * MemoryLayout<Float>.stride), 1)
        let blocks = (panels + fitting - 1) / fitting
        blockPanels = (panels + blocks - 1) / blocks
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let panels = operands.tilePanels
        let byteCount = blockPanels * operands.tilePanelSize * MemoryLayout<Float>.stride
        try threads.withWorkspace(byteCount: byteCount) { memory throws(TensorError) in
            let transformed = memory.assumingMemoryBound(to: Float.self)
            for first in stride(from: 0, to: panels, by: blockPanels) {
                let block = first..<min(first + blockPanels, panels)
                transformTiles(block, into: transformed, threads: threads)
                try multiply(transformed, block, threads: threads)
            }
        }
    }

    private func transformTiles(_ block: Range<Int>, into transformed: UnsafeMutablePointer<Float>, threads: ThreadPool) {
        let operands = operands
        let channels = operands.geometry.inputChannels
        let step = 16
        let chunks = (channels + step - 1) / step
        threads.forEach(block.count * chunks) { task in
            let panel = task / chunks
            let first = task % chunks * step
            operands.transformTiles(
                block.lowerBound + panel, channels: first..<min(first + step, channels),
                into: transformed + panel * operands.tilePanelSize)
        }
    }

    /// How many panels of kernels, and of tiles, are multiplied with one another at a position before the next one's turn, so that
    /// each is read from the second-level cache: a square of about that cache's half.
    private func blocking(tilePanels: Int, threads: Int) -> (kernels: Int, tiles: Int) {
        let side = Self.sliceBytes / (operands.geometry.inputChannels * MemoryLayout<Float>.stride)
        let tiles = min(max(side / WinogradOperands.lanes, 1), 4, tilePanels)
        let panels = operands.kernelPanels
        let most = min(max(side / WinogradOperands.rows, 1), 8)
        // As many tasks on each thread.
        let tasks = (panels + most * threads - 1) / (most * threads) * threads
        return ((panels + tasks - 1) / tasks, tiles)
    }

    private func multiply(
        _ transformed: UnsafePointer<Float>, _ block: Range<Int>, threads: ThreadPool
    ) throws(TensorError) {
        let operands = operands
        let (taskPanels, tilePanels) = blocking(tilePanels: block.count, threads: threads.threadCount)
        let floats = taskPanels * operands.kernelPanelSize + taskPanels * tilePanels * operands.productPanelSize
        let tasks = (operands.kernelPanels + taskPanels - 1) / taskPanels
        try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let kernels = scratch.assumingMemoryBound(to: Float.self)
            let products = kernels + taskPanels * operands.kernelPanelSize
            let kernelPanels = task * taskPanels..<min((task + 1) * taskPanels, operands.kernelPanels)
            for panel in kernelPanels {
                operands.transformKernels(panel, into: kernels + (panel - kernelPanels.lowerBound) * operands.kernelPanelSize)
            }
            for start in stride(from: block.lowerBound, to: block.upperBound, by: tilePanels) {
                let tiles = start..<min(start + tilePanels, block.upperBound)
                func product(_ tile: Int, _ kernel: Int) -> UnsafeMutablePointer<Float> {
                    products + ((tile - start) * taskPanels + kernel - kernelPanels.lowerBound) * operands.productPanelSize
                }
                for position in 0..<WinogradOperands.positions {
                    for tile in tiles {
                        for kernel in kernelPanels {
                            operands.multiply(
                                kernels + (kernel - kernelPanels.lowerBound) * operands.kernelPanelSize,
                                transformed + (tile - block.lowerBound) * operands.tilePanelSize, position: position,
                                into: product(tile, kernel), part: kernel - kernelPanels.lowerBound, of: kernelPanels.count)
                        }
                    }
                }
                for tile in tiles {
                    for kernel in kernelPanels {
                        operands.transformProducts(product(tile, kernel), kernelPanel: kernel, tilePanel: tile)
                    }
                }
            }
        }
    }
}
