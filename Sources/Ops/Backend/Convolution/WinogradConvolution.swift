import CKernels
import GraphRuntime

/// Stride-1 convolutions with 3×3 kernels by minimal filtering F(4×4, 3×3): 36 products for 16 output pixels in the place of 144
/// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
///
/// At each of the 36 positions there is a product of the transformed kernels [output channels, input channels] with the transformed
/// tiles [input channels, tiles]. Which of the two stays in cache while the other passes by is a matter of their sizes.
struct WinogradConvolution {
    private let geometry: WinogradGeometry
    private let scheme: Scheme

    private enum Scheme {
        /// By tiles where all threads find enough panels of them and the kernels are kept, by kernels else.
        case manyTiles(panels: Int, keepsKernels: Bool)
        case fewTiles
        case byRows
    }

    /// Floats of transformed kernels that are worth keeping for one run: 64 MB.
    private static let mostKeptKernels = 16 << 20
    /// Input channels whose transformed tiles fit the second-level cache.
    private static let mostChannelsByTiles = 512

    /// - Returns: nil where the convolution isn't of this kind, or where unfolding is at least as fast: few channels, whose
    ///   transforms cost more than the products that they save, and pictures of few pixels.
    init?(_ window: ConvolutionWindow) {
        guard unsafe PackedProduct.level != 0, window.inputChannels >= 32, window.outputChannels >= 32,
            let geometry = WinogradGeometry(window)
        else { return nil }
        self.geometry = geometry
        let pixels = window.batch * window.outputCount
        let lanes = unsafe PackedProduct.columns
        if geometry.tileCount <= 32 {
            guard pixels >= 16 else { return nil }
            scheme = unsafe geometry.tileCount <= WinogradByRows.mostTiles ? .byRows : .fewTiles
            return
        }
        // Lanes without a tile, and tiles that reach beyond the picture's edge, compute for nothing.
        let panels = (geometry.tileCount + lanes - 1) / lanes
        guard 3 * 36 * panels * lanes <= 2 * 9 * pixels else { return nil }
        let kernels = WinogradGeometry.positions * geometry.inputChannels * geometry.outputChannels
        let keepsKernels = kernels <= Self.mostKeptKernels && geometry.inputChannels <= Self.mostChannelsByTiles
        scheme = .manyTiles(panels: panels, keepsKernels: keepsKernels)
    }

    /// Whether it reads the weights in panels, if there are any.
    var readsPanels: Bool {
        switch scheme {
        case .manyTiles: false
        case .fewTiles, .byRows: true
        }
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameters:
    ///   - weights: also of 16-bit floats, which are widened where they are transformed.
    ///   - panels: the weights in panels of output channels, if they were packed.
    func run(input: Tensor, weights: Tensor, panels: PackedPanels?, bias: Tensor?, output: MutableTensor, threads: ThreadPool)
        throws
    {
        let source = unsafe try input.pointer(to: Float.self)
        // Before kernels are packed, all of them are numbers.
        let weights = readsPanels && panels == nil ? try weights.widened(threads: threads) : weights
        let kernels = try WinogradKernels(weights, geometry)
        let target = unsafe try output.pointer(to: Float.self)
        let bias = unsafe try bias?.pointer(to: Float.self)
        let depth = geometry.inputChannels * 9
        let panels = unsafe try panels.map { panels throws(TensorError) in
            unsafe StoredPanels(try panels.pointer(), k: depth, precision: panels.precision)
        }
        let operands = unsafe WinogradOperands(geometry: geometry, input: source, kernels: kernels, bias: bias, output: target)
        switch scheme {
        case .manyTiles(let panels, let keepsKernels):
            if keepsKernels, panels >= 4 * threads.threadCount {
                unsafe try WinogradByTiles(operands, threads: threads.threadCount).run(threads: threads)
            } else {
                unsafe try WinogradByKernels(operands).run(threads: threads)
            }
        case .fewTiles: unsafe try WinogradFewTiles(operands, panels: panels).run(threads: threads)
        case .byRows: unsafe try WinogradByRows(operands, panels: panels).run(threads: threads)
        }
    }
}

/// A convolution's geometry and memory.
@unsafe struct WinogradOperands: @unchecked Sendable {
    let geometry: WinogradGeometry
    /// [batch, input channels, height, width]
    let input: UnsafePointer<Float>
    let kernels: WinogradKernels
    /// [output channels]
    let bias: UnsafePointer<Float>?
    /// [batch, output channels, height, width]
    let output: UnsafeMutablePointer<Float>

    static let lanes = unsafe PackedProduct.columns
    static let rows = unsafe PackedProduct.rows
    static let positions = WinogradGeometry.positions

    var tilePanels: Int { unsafe (geometry.tileCount + Self.lanes - 1) / Self.lanes }
    var kernelPanels: Int { unsafe (geometry.outputChannels + Self.rows - 1) / Self.rows }

    /// Floats from one position of a panel of tiles to the next. A line of cache more than the lanes need, since a power of two
    /// between the positions would put all 36 into the same few sets of the cache.
    var tileStep: Int { unsafe geometry.inputChannels * Self.lanes + 16 }
    /// Floats of a panel of tiles.
    var tilePanelSize: Int { unsafe Self.positions * tileStep }
    /// Floats from one position of a panel of kernels to the next, with room for the vectors that reach beyond the end.
    var kernelStep: Int { unsafe geometry.inputChannels * Self.rows + 16 }
    /// Floats of a panel of kernels.
    var kernelPanelSize: Int { unsafe Self.positions * kernelStep + 64 }
    /// Floats from one position of the products of two panels to the next.
    var productStep: Int { unsafe Self.rows * Self.lanes }
    /// Floats of the products of two panels.
    var productPanelSize: Int { unsafe Self.positions * productStep + 64 }

    /// The tiles of a panel.
    func tiles(of panel: Int) -> Range<Int> { unsafe panel * Self.lanes..<min((panel + 1) * Self.lanes, geometry.tileCount) }

    /// The output channels of a panel.
    func channels(of panel: Int) -> Range<Int> {
        unsafe panel * Self.rows..<min((panel + 1) * Self.rows, geometry.outputChannels)
    }

    /// One panel of tiles, [position][channel][lane].
    func transformTiles(_ panel: Int, channels: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        for channel in channels {
            unsafe geometry.transformInput(
                input, channel: channel, tiles: tiles(of: panel), into: target + channel * Self.lanes, positionStep: tileStep)
        }
    }

    /// One panel of kernels, [position][channel][row].
    func transformKernels(_ panel: Int, into target: UnsafeMutablePointer<Float>) {
        unsafe kernels.transform(channels(of: panel), rows: Self.rows, into: target, positionStep: kernelStep)
    }

    /// The product of a panel of kernels with one of tiles at one position. It is one of several with the same tiles, each of which reads
    /// its part of the next position's tiles ahead.
    func multiply(
        _ kernels: UnsafePointer<Float>, _ tiles: UnsafePointer<Float>, position: Int,
        into products: UnsafeMutablePointer<Float>, part: Int, of parts: Int
    ) {
        let step = unsafe (Self.lanes + parts - 1) / parts
        unsafe ck_gemm_kernel(
            PackedProduct.level, Int32(Self.rows), geometry.inputChannels, kernels + position * kernelStep, Self.rows,
            tiles + position * tileStep, nil, 0, products + position * productStep, Self.lanes,
            tiles + (position + 1) * tileStep + part * step * geometry.inputChannels, step)
    }

    /// The products of a panel of kernels with one of tiles back into the pictures.
    func transformProducts(_ products: UnsafePointer<Float>, kernelPanel: Int, tilePanel: Int) {
        let channels = unsafe channels(of: kernelPanel)
        for channel in channels {
            unsafe geometry.transformOutput(
                products + (channel - channels.lowerBound) * Self.lanes, positionStep: productStep, channel: channel,
                bias: bias?[channel] ?? 0, tiles: tiles(of: tilePanel), into: output)
        }
    }
}
