import GraphRuntime

/// The convolution as a product of the weights with the unfolded windows, in tiles of pixels whose unfolded form stays in cache.
func convolve<Element: BLASElement>(
    _: Element.Type, _ window: ConvolutionWindow, _ input: Tensor, _ weights: Tensor, bias: Tensor?, into output: MutableTensor,
    _ precision: Precision = .single, threads: ThreadPool
) throws {
    nonisolated(unsafe) let source = unsafe try input.pointer(to: Element.self)
    nonisolated(unsafe) let kernel = unsafe try weights.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    guard output.count > 0 else { return }
    nonisolated(unsafe) let offsets = unsafe try bias?.pointer(to: Element.self)
    let unfold = Im2Col<Element>(window)
    let depth = unfold.rowCount
    let pixelCount = window.outputCount
    if window.group == 1, depth > 0, window.batch * pixelCount <= largestJoinedPixelCount {
        return unsafe try convolveJoined(unfold, source, kernel, bias: offsets, target, precision, threads: threads)
    }
    let outputChannels = window.outputChannels / window.group
    let tiles = ConvolutionTiles(
        planes: window.batch * window.group, pixels: pixelCount, channels: outputChannels, depth: depth,
        elementSize: MemoryLayout<Element>.size, threads: threads.threadCount)
    let isPointwise = window.isPointwise
    let scratchBytes = isPointwise ? 0 : depth * tiles.pixelStep * MemoryLayout<Element>.size
    unsafe try threads.forEach(tiles.count, scratchBytes: scratchBytes) { index, scratch in
        let tile = tiles[index]
        let group = tile.plane % window.group
        let plane = unsafe source + tile.plane * unfold.channels * window.inputCount
        let rows =
            unsafe target + (tile.plane * outputChannels + tile.channels.lowerBound) * pixelCount + tile.pixels.lowerBound
        let bias = unsafe offsets.map { unsafe $0 + group * outputChannels + tile.channels.lowerBound }
        guard depth > 0 else {
            for channel in 0..<tile.channels.count {
                unsafe (rows + channel * pixelCount).update(repeating: bias?[channel] ?? 0, count: tile.pixels.count)
            }
            return
        }
        var columns = unsafe plane + tile.pixels.lowerBound
        var columnStride = pixelCount
        if !isPointwise {
            let matrix = unsafe scratch.assumingMemoryBound(to: Element.self)
            unsafe unfold.fill(
                matrix, rowStride: tile.pixels.count, rows: 0..<depth, from: plane, pixels: tile.pixels)
            unsafe columns = unsafe UnsafePointer(matrix)
            columnStride = tile.pixels.count
        }
        unsafe GEMM(
            m: tile.channels.count, n: tile.pixels.count, k: depth,
            a: kernel + (group * outputChannels + tile.channels.lowerBound) * depth, lda: depth, b: columns, ldb: columnStride,
            start: bias.map { unsafe .rows($0) } ?? .zero, c: unsafe rows, ldc: pixelCount, precision: precision
        ).run()
    }
}

/// Pictures of together no more pixels than this are one matrix: the weights, which then outweigh them, are read once.
private let largestJoinedPixelCount = 512

/// The convolution of small pictures as one product of the weights with the unfolded windows of all of them.
private func convolveJoined<Element: BLASElement>(
    _ unfold: Im2Col<Element>, _ source: UnsafePointer<Element>, _ kernel: UnsafePointer<Element>,
    bias: UnsafePointer<Element>?, _ target: UnsafeMutablePointer<Element>, _ precision: Precision, threads: ThreadPool
) throws(TensorError) {
    let window = unfold.window
    let (depth, pixelCount, channels) = (unfold.rowCount, window.outputCount, window.outputChannels)
    let columns = window.batch * pixelCount
    unsafe try threads.withWorkspace(byteCount: (depth + channels) * columns * MemoryLayout<Element>.stride) {
        memory throws(TensorError) in
        nonisolated(unsafe) let matrix = unsafe memory.assumingMemoryBound(to: Element.self)
        nonisolated(unsafe) let products = unsafe matrix + depth * columns
        unsafe unfold.fillJoined(matrix, from: source, threads: threads)
        // One part a thread: each packs the matrix for itself.
        let parts = min(threads.threadCount, channels)
        nonisolated(unsafe) let bias = unsafe bias
        nonisolated(unsafe) let kernel = unsafe kernel
        nonisolated(unsafe) let target = unsafe target
        threads.forEach(parts) { index in
            let part = channels * index / parts..<channels * (index + 1) / parts
            unsafe GEMM(
                m: part.count, n: columns, k: depth, a: kernel + part.lowerBound * depth, lda: depth, b: matrix, ldb: columns,
                c: products + part.lowerBound * columns, ldc: columns, precision: precision
            ).run()
            for channel in part {
                let offset = unsafe bias?[channel] ?? 0
                for picture in 0..<window.batch {
                    let row = unsafe products + channel * columns + picture * pixelCount
                    let result = unsafe target + (picture * channels + channel) * pixelCount
                    for pixel in 0..<pixelCount { unsafe result[pixel] = unsafe row[pixel] + offset }
                }
            }
        }
    }
}

/// The tiles of a convolution: pixels of one picture's group of channels, and where those are too few for all threads, parts of the
/// output channels.
private struct ConvolutionTiles {
    let planes: Int
    let pixels: Int
    let channels: Int
    let pixelStep: Int
    let channelStep: Int

    struct Tile {
        let plane: Int
        let pixels: Range<Int>
        let channels: Range<Int>
    }

    /// Unfolded windows of this many bytes share the second-level cache with the weights' panels.
    private static let unfoldedBytes = 4 << 20

    init(planes: Int, pixels: Int, channels: Int, depth: Int, elementSize: Int, threads: Int) {
        self.planes = planes
        self.pixels = pixels
        self.channels = channels
        let fitting = max(Self.unfoldedBytes / max(depth * elementSize, 1) / 16 * 16, 128)
        // As many tiles on each plane as make all threads equally busy.
        let wanted = (pixels + fitting - 1) / fitting
        let even = planes % threads == 0 ? wanted : (wanted + threads - 1) / threads * threads
        pixelStep = min(max((pixels + even - 1) / even, 64), max(pixels, 1))
        let tileCount = planes * ((pixels + pixelStep - 1) / pixelStep)
        let parts = tileCount >= threads ? 1 : max(min((threads + tileCount - 1) / max(tileCount, 1), channels / 16), 1)
        channelStep = (channels + parts - 1) / parts
    }

    private var pixelTiles: Int { (pixels + pixelStep - 1) / pixelStep }
    private var channelTiles: Int { (channels + channelStep - 1) / max(channelStep, 1) }

    var count: Int { planes * pixelTiles * channelTiles }

    subscript(index: Int) -> Tile {
        let plane = index / (pixelTiles * channelTiles)
        let pixel = index / channelTiles % pixelTiles * pixelStep
        let channel = index % channelTiles * channelStep
        return Tile(
            plane: plane, pixels: pixel..<min(pixel + pixelStep, pixels),
            channels: channel..<min(channel + channelStep, channels))
    }
}
