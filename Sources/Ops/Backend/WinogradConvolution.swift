import CKernels
import GraphRuntime

/// Stride-1 convolutions with 3×3 kernels by minimal filtering F(4×4, 3×3): 36 products for 16 output pixels in the place of 144
/// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
///
/// Tiles of the pictures are transformed into panels, a block of panels at a time, small enough for the last-level cache. Then each
/// task takes a few output channels: it transforms their kernels, multiplies them with every panel at each of the 36 positions, and
/// transforms the products back while they are in its cache. Kernels are transformed again for each block, which costs little beside
/// the products and saves four times their memory.
struct WinogradConvolution {
    private let geometry: ck_winograd_geometry
    private let batch: Int
    private let inputChannels: Int
    private let outputChannels: Int
    private let inputArea: Int
    private let outputArea: Int
    private let tilesPerPicture: Int
    /// Panels of tiles that are transformed at once.
    private let blockPanels: Int

    private static let lanes = PackedProduct.columns
    private static let rows = PackedProduct.rows
    private static let positions = Int(CK_WINOGRAD_POSITIONS)
    /// Bytes of transformed pictures at once.
    private static let blockBytes = 12 << 20
    /// Kernels, or tiles, of one position that share the second-level cache with the other.
    private static let sliceBytes = 96 << 10

    /// - Returns: nil where the convolution isn't of this kind, or where unfolding is at least as fast: few channels, whose
    ///   transforms cost more than the products that they save.
    init?(_ window: ConvolutionWindow) {
        guard PackedProduct.level != 0, window.kernel == [3, 3], window.strides == [1, 1], window.dilations == [1, 1],
            window.group == 1, window.inputChannels >= 32, window.outputChannels >= 32, window.outputCount > 0, window.batch > 0
        else { return nil }
        let (height, width) = (window.output[0], window.output[1])
        let (down, across) = ((height + 3) / 4, (width + 3) / 4)
        // Lanes without a tile, and tiles that reach beyond the picture's edge, compute for nothing.
        let panels = (window.batch * down * across + Self.lanes - 1) / Self.lanes
        guard 3 * 36 * panels * Self.lanes <= 2 * 9 * window.batch * height * width else { return nil }
        geometry = ck_winograd_geometry(
            height: window.input[0], width: window.input[1], output_height: height, output_width: width,
            pad_top: window.padsBegin[0], pad_left: window.padsBegin[1], tiles_across: across)
        batch = window.batch
        inputChannels = window.inputChannels
        outputChannels = window.outputChannels
        inputArea = window.inputCount
        outputArea = window.outputCount
        tilesPerPicture = down * across
        let fitting = max(Self.blockBytes / (Self.positions * (window.inputChannels * Self.lanes + 16) * 4), 1)
        let blocks = (panels + fitting - 1) / fitting
        blockPanels = (panels + blocks - 1) / blocks
    }

    private var tileCount: Int { batch * tilesPerPicture }
    /// Floats from one position of a panel to the next. A line of cache more than the lanes need, since a power of two between the
    /// positions would put all 36 into the same few sets of the cache.
    private var positionStep: Int { inputChannels * Self.lanes + 16 }
    private var panelSize: Int { Self.positions * positionStep }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    func run(input: Tensor, weights: Tensor, bias: Tensor?, output: MutableTensor, threads: ThreadPool) throws {
        guard let source = try input.buffer(of: Float.self).baseAddress,
            let kernels = try weights.buffer(of: Float.self).baseAddress,
            let target = try output.buffer(of: Float.self).baseAddress
        else { return }
        try run(input: source, weights: kernels, bias: try bias?.buffer(of: Float.self), output: target, threads: threads)
    }

    private func run(
        input: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafeBufferPointer<Float>?,
        output: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        let panels = (tileCount + Self.lanes - 1) / Self.lanes
        try threads.withWorkspace(byteCount: blockPanels * panelSize * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            guard let transformed = memory.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
            for first in stride(from: 0, to: panels, by: blockPanels) {
                let block = first..<min(first + blockPanels, panels)
                transformInput(input, block, into: transformed, threads: threads)
                try multiply(transformed, block, weights: weights, bias: bias, output: output, threads: threads)
            }
        }
    }

    /// Panel by panel, [position][channel][lane].
    private func transformInput(
        _ input: UnsafePointer<Float>, _ block: Range<Int>, into transformed: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) {
        let step = 16
        let chunks = (inputChannels + step - 1) / step
        withGeometry { geometry in
            threads.forEach(block.count * chunks) { task in
                let panel = task / chunks
                let target = transformed + panel * panelSize
                for channel in task % chunks * step..<min((task % chunks + 1) * step, inputChannels) {
                    forEachPicture(of: block.lowerBound + panel) { picture, first, lane, count in
                        ck_winograd_input(
                            geometry, input + (picture * inputChannels + channel) * inputArea, first, Int32(lane), Int32(count),
                            target + channel * Self.lanes, positionStep)
                    }
                }
            }
        }
    }

    /// How many panels of kernels, and of tiles, are multiplied with one another at a position before the next one's turn, so that
    /// each is read from the second-level cache: a square of about that cache's half.
    private func blocking(tilePanels: Int, threads: Int) -> (kernels: Int, tiles: Int) {
        let side = Self.sliceBytes / (inputChannels * MemoryLayout<Float>.stride)
        let tiles = min(max(side / Self.lanes, 1), 4, tilePanels)
        let panels = (outputChannels + Self.rows - 1) / Self.rows
        let most = min(max(side / Self.rows, 1), 8)
        // As many tasks on each thread.
        let tasks = (panels + most * threads - 1) / (most * threads) * threads
        return ((panels + tasks - 1) / tasks, tiles)
    }

    private func multiply(
        _ transformed: UnsafePointer<Float>, _ block: Range<Int>, weights: UnsafePointer<Float>,
        bias: UnsafeBufferPointer<Float>?,
        output: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        let rows = Self.rows
        let (kernelPanels, tilePanels) = blocking(tilePanels: block.count, threads: threads.threadCount)
        // Room behind each for the vectors that reach beyond the end.
        let kernelStep = inputChannels * rows + 16
        let productStep = rows * Self.lanes
        let kernelFloats = Self.positions * kernelStep + 64
        let productFloats = Self.positions * productStep + 64
        let scratchFloats = kernelPanels * kernelFloats + kernelPanels * tilePanels * productFloats
        let taskChannels = kernelPanels * rows
        let tasks = (outputChannels + taskChannels - 1) / taskChannels
        try threads.forEach(tasks, scratchBytes: scratchFloats * MemoryLayout<Float>.stride) { task, scratch in
            guard let kernels = scratch.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
            let products = kernels + kernelPanels * kernelFloats
            let channels = task * taskChannels..<min((task + 1) * taskChannels, outputChannels)
            let panelCount = (channels.count + rows - 1) / rows
            for panel in 0..<panelCount {
                let first = channels.lowerBound + panel * rows
                ck_winograd_weights(
                    weights + first * inputChannels * 9, inputChannels * 9, inputChannels,
                    Int32(min(rows, channels.upperBound - first)), Int32(rows), kernels + panel * kernelFloats, kernelStep)
            }
            for start in stride(from: block.lowerBound, to: block.upperBound, by: tilePanels) {
                let tiles = start..<min(start + tilePanels, block.upperBound)
                for position in 0..<Self.positions {
                    for tile in tiles {
                        let source = transformed + (tile - block.lowerBound) * panelSize + position * positionStep
                        for panel in 0..<panelCount {
                            ck_gemm_kernel(
                                PackedProduct.level, inputChannels, kernels + panel * kernelFloats + position * kernelStep,
                                source,
                                products + ((tile - start) * kernelPanels + panel) * productFloats + position * productStep,
                                Self.lanes, 0)
                        }
                    }
                }
                for tile in tiles {
                    transformOutput(
                        products + (tile - start) * kernelPanels * productFloats, productFloats, panel: tile, channels,
                        bias: bias, output: output)
                }
            }
        }
    }

    /// The products of one panel of tiles with the kernels of `channels`, whose panels are `step` apart, back into pictures.
    private func transformOutput(
        _ products: UnsafePointer<Float>, _ step: Int, panel: Int, _ channels: Range<Int>, bias: UnsafeBufferPointer<Float>?,
        output: UnsafeMutablePointer<Float>
    ) {
        withGeometry { geometry in
            for channel in channels {
                let index = channel - channels.lowerBound
                let row = products + index / Self.rows * step + index % Self.rows * Self.lanes
                forEachPicture(of: panel) { picture, first, lane, count in
                    ck_winograd_output(
                        geometry, row, Self.rows * Self.lanes, Int32(lane), Int32(count), bias?[channel] ?? 0, first,
                        output + (picture * outputChannels + channel) * outputArea)
                }
            }
        }
    }

    /// The parts of a panel that lie in one picture each.
    @inline(__always)
    private func forEachPicture(of panel: Int, _ body: (_ picture: Int, _ first: Int, _ lane: Int, _ count: Int) -> Void) {
        var tile = panel * Self.lanes
        let end = min(tile + Self.lanes, tileCount)
        while tile < end {
            let picture = tile / tilesPerPicture
            let count = min(end, (picture + 1) * tilesPerPicture) - tile
            body(picture, tile - picture * tilesPerPicture, tile - panel * Self.lanes, count)
            tile += count
        }
    }

    private func withGeometry(_ body: (UnsafePointer<ck_winograd_geometry>) -> Void) {
        withUnsafePointer(to: geometry, body)
    }
}
