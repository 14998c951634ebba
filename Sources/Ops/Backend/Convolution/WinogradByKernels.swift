import GraphRuntime

/// Minimal filtering where kernels outweigh the pictures: tiles are transformed into panels, a block of panels at a time, small enough
/// for the last-level cache. Then each task takes a few output channels: it transforms their kernels, multiplies them with every panel
/// at each of the 36 positions, and transforms the products back while they are in its cache. Kernels are transformed again for each
/// block, which costs little beside the products and saves four times their memory.
@unsafe struct WinogradByKernels: @unchecked Sendable {
    private let operands: WinogradOperands
    /// Panels of tiles that are transformed at once.
    private let blockPanels: Int

    /// Bytes of transformed pictures at once.
    private static let blockBytes = 12 << 20
    /// Kernels, or tiles, of one position that share the second-level cache with the other.
    private static let sliceBytes = 96 << 10

    init(_ operands: WinogradOperands) {
        unsafe self.operands = unsafe operands
        let panels = unsafe operands.tilePanels
        let fitting = unsafe max(Self.blockBytes / (operands.tilePanelSize * MemoryLayout<Float>.stride), 1)
        let blocks = (panels + fitting - 1) / fitting
        unsafe blockPanels = (panels + blocks - 1) / blocks
    }

    func run(threads: ThreadPool) throws(TensorError) {
        let panels = unsafe operands.tilePanels
        let byteCount = unsafe blockPanels * operands.tilePanelSize * MemoryLayout<Float>.stride
        unsafe try threads.withWorkspace(byteCount: byteCount) { memory throws(TensorError) in
            let transformed = unsafe memory.assumingMemoryBound(to: Float.self)
            for first in unsafe stride(from: 0, to: panels, by: blockPanels) {
                let block = unsafe first..<min(first + blockPanels, panels)
                unsafe transformTiles(block, into: transformed, threads: threads)
                unsafe try multiply(transformed, block, threads: threads)
            }
        }
    }

    private func transformTiles(_ block: Range<Int>, into transformed: UnsafeMutablePointer<Float>, threads: ThreadPool) {
        let operands = unsafe operands
        let channels = unsafe operands.geometry.inputChannels
        let step = 16
        let chunks = (channels + step - 1) / step
        nonisolated(unsafe) let transformed = unsafe transformed
        threads.forEach(block.count * chunks) { task in
            let panel = task / chunks
            let first = task % chunks * step
            unsafe operands.transformTiles(
                block.lowerBound + panel, channels: first..<min(first + step, channels),
                into: transformed + panel * operands.tilePanelSize)
        }
    }

    /// How many panels of kernels, and of tiles, are multiplied with one another at a position before the next one's turn, so that
    /// each is read from the second-level cache: a square of about that cache's half.
    private func blocking(tilePanels: Int, threads: Int) -> (kernels: Int, tiles: Int) {
        let side = unsafe Self.sliceBytes / (operands.steps * MemoryLayout<Float>.stride)
        let tiles = unsafe min(max(side / WinogradOperands.lanes, 1), 4, tilePanels)
        let panels = unsafe operands.kernelPanels
        let most = unsafe min(max(side / WinogradOperands.rows, 1), 8)
        // As many tasks on each thread.
        let tasks = (panels + most * threads - 1) / (most * threads) * threads
        return ((panels + tasks - 1) / tasks, tiles)
    }

    private func multiply(_ transformed: UnsafePointer<Float>, _ block: Range<Int>, threads: ThreadPool) throws(TensorError) {
        let operands = unsafe operands
        let (taskPanels, tilePanels) = unsafe blocking(tilePanels: block.count, threads: threads.threadCount)
        let floats = unsafe taskPanels * operands.kernelPanelSize + taskPanels * tilePanels * operands.productPanelSize
        let tasks = unsafe (operands.kernelPanels + taskPanels - 1) / taskPanels
        nonisolated(unsafe) let transformed = unsafe transformed
        unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let kernels = unsafe scratch.assumingMemoryBound(to: Float.self)
            let products = unsafe kernels + taskPanels * operands.kernelPanelSize
            let kernelPanels = unsafe task * taskPanels..<min((task + 1) * taskPanels, operands.kernelPanels)
            for panel in kernelPanels {
                unsafe operands.transformKernels(
                    panel, into: kernels + (panel - kernelPanels.lowerBound) * operands.kernelPanelSize)
            }
            for start in stride(from: block.lowerBound, to: block.upperBound, by: tilePanels) {
                let tiles = start..<min(start + tilePanels, block.upperBound)
                func product(_ tile: Int, _ kernel: Int) -> UnsafeMutablePointer<Float> {
                    unsafe products + ((tile - start) * taskPanels + kernel - kernelPanels.lowerBound)
                        * operands.productPanelSize
                }
                for position in unsafe 0..<WinogradOperands.positions {
                    for tile in tiles {
                        for kernel in kernelPanels {
                            unsafe operands.multiply(
                                kernels + (kernel - kernelPanels.lowerBound) * operands.kernelPanelSize,
                                transformed + (tile - block.lowerBound) * operands.tilePanelSize, position: position,
                                into: product(tile, kernel), part: kernel - kernelPanels.lowerBound, of: kernelPanels.count)
                        }
                    }
                }
                for tile in tiles {
                    for kernel in kernelPanels {
                        unsafe operands.transformProducts(product(tile, kernel), kernelPanel: kernel, tilePanel: tile)
                    }
                }
            }
        }
    }
}
