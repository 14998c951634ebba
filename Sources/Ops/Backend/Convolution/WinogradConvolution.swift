import CKernels
import GraphRuntime

/// Stride-1 convolutions with 3×3 kernels by minimal filtering F(4×4, 3×3): 36 products for 16 output pixels in the place of 144
/// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
///
/// At each of the 36 positions there is a product of the transformed kernels [output channels, input channels] with the transformed
/// tiles [input channels, tiles]. Which of the two stays in cache while the other passes by is a matter of their sizes.
///
/// Where the processor multiplies pairs of bfloat16, but not by AMX, and the plan allows for it, both are rounded to such after their
/// transforms, which are computed in single precision, as is the transform of the products.
struct WinogradConvolution {
    private let geometry: WinogradGeometry
    private let scheme: Scheme
    /// Whether the products are of pairs of bfloat16.
    let isPaired: Bool

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

    /// Input channels from which on pairs are multiplied. Of fewer, the transforms, which stay in single precision, are so much of the work
    /// that less is saved, and fewer products are there to average what rounding adds.
    private static let fewestPairedChannels = 128
    /// Products at one position from which on pairs are multiplied: with fewer a convolution takes less than a millisecond as it is, which
    /// what rounding adds isn't worth.
    private static let fewestPairedProducts = 3 << 20
    /// Kernels from which on reading them alone takes as long.
    private static let fewestPairedKernels = 1 << 20
    /// Tiles up to which rounding their kernels' transforms to pairs costs more than it saves.
    private static let mostSingleTiles = 8

    /// - Returns: nil where the convolution isn't of this kind, or where unfolding is at least as fast: few channels, whose
    ///   transforms cost more than the products that they save, and pictures of few pixels.
    ///
    /// - Parameter hasPanels: whether unfolded pixels have packed weights to be multiplied with.
    init?(_ window: ConvolutionWindow, hasPanels: Bool, _ precision: Precision) {
        guard unsafe PackedProduct.level != 0, window.inputChannels >= 32, window.outputChannels >= 32,
            let geometry = WinogradGeometry(window)
        else { return nil }
        self.geometry = geometry
        let pairs =
            ProductPrecision(precision, isPacked: false).pairsLeft && !TileConvolution.isAvailable
            && window.inputChannels >= Self.fewestPairedChannels
            && (geometry.tileCount * window.inputChannels * window.outputChannels >= Self.fewestPairedProducts
                || window.inputChannels * window.outputChannels >= Self.fewestPairedKernels)
        // Kernels that aren't packed in panels are best transformed in registers.
        let mostSingle = unsafe hasPanels ? Self.mostSingleTiles : WinogradByRows.mostTiles(kernels: .max)
        isPaired = pairs && geometry.tileCount > mostSingle
        let mostByRows =
            unsafe pairs ? mostSingle : WinogradByRows.mostTiles(kernels: window.inputChannels * window.outputChannels)
        let pixels = window.batch * window.outputCount
        let lanes = unsafe PackedProduct.columns
        if geometry.tileCount <= 32 {
            // One tile has so few pixels that they are unfolded in pairs as fast, from panels of half the size.
            guard pixels >= 16, !(pairs && hasPanels && geometry.tileCount == 1) else { return nil }
            scheme = geometry.tileCount <= mostByRows ? .byRows : .fewTiles
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

    /// The numbers of these panels: those that are rounded after their transform may be rounded to 16 bits before it.
    func precisionOfPanels(_ weights: DType, _ format: WeightFormat) -> ProductPrecision {
        let stored = ProductPrecision(.single, isPacked: true, weights: weights, format: format)
        return stored == .single && isPaired ? .bfloat16Weights : stored
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameters:
    ///   - weights: also of 16-bit floats, which are widened where they are transformed.
    ///   - panels: the weights in panels of output channels, if they were packed.
    ///   - rows: the weights as whole numbers with scales, if they are kept as such.
    func run(
        input: Tensor, weights: Tensor, panels: PackedPanels?, rows: QuantizedRows.QuantizedMatrix?, bias: Tensor?,
        _ epilogue: ConvolutionEpilogue, output: MutableTensor, threads: ThreadPool
    ) throws {
        let inRegisters = unsafe epilogue.inRegisters
        let source = unsafe try input.pointer(to: Float.self)
        // Before kernels are packed, all of them are numbers.
        let weights = readsPanels && panels == nil ? try weights.widened(threads: threads) : weights
        let kernels =
            try rows.map { WinogradKernels($0, inputChannels: geometry.inputChannels) }
            ?? WinogradKernels(weights, inputChannels: geometry.inputChannels)
        let target = unsafe try output.pointer(to: Float.self)
        let bias = unsafe try bias?.pointer(to: Float.self)
        let depth = geometry.inputChannels * 9
        let panels = unsafe try panels.map { panels throws(TensorError) in
            unsafe StoredPanels(try panels.pointer(), k: depth, precision: panels.precision)
        }
        let operands = unsafe WinogradOperands(
            geometry: geometry, isPaired: isPaired, input: source, kernels: kernels, bias: bias,
            finish: inRegisters?.finish ?? ck_finish.nothing, residual: inRegisters?.residual, output: target)
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
        if unsafe inRegisters == nil { try epilogue.apply(to: output, threads: threads) }
    }
}

/// A convolution's geometry and memory.
@unsafe struct WinogradOperands: @unchecked Sendable {
    let geometry: WinogradGeometry
    /// Whether panels hold pairs of two input channels.
    let isPaired: Bool
    /// [batch, input channels, height, width]
    let input: UnsafePointer<Float>
    let kernels: WinogradKernels
    /// [output channels]
    let bias: UnsafePointer<Float>?
    /// What becomes of the sums as they are written.
    let finish: ck_finish
    /// What is added before, of the output's shape.
    let residual: UnsafePointer<Float>?
    /// [batch, output channels, height, width]
    let output: UnsafeMutablePointer<Float>

    static let lanes = unsafe PackedProduct.columns
    static let rows = unsafe PackedProduct.rows
    static let positions = WinogradGeometry.positions

    var tilePanels: Int { unsafe (geometry.tileCount + Self.lanes - 1) / Self.lanes }
    var kernelPanels: Int { unsafe (geometry.outputChannels + Self.rows - 1) / Self.rows }

    /// Steps of the products: rows of a panel.
    var steps: Int { unsafe steps(of: geometry.inputChannels) }
    /// Those of some input channels, of which the first is even.
    func steps(of channels: Int) -> Int { unsafe PanelLayout.rows(depth: channels, isPaired: isPaired) }

    /// Floats from one position of a panel of tiles to the next. A line of cache more than the lanes need, since a power of two
    /// between the positions would put all 36 into the same few sets of the cache.
    var tileStep: Int { unsafe steps * Self.lanes + 16 }
    /// Floats of a panel of tiles.
    var tilePanelSize: Int { unsafe Self.positions * tileStep }
    /// Floats from one position of a panel of kernels to the next, with room for the vectors that reach beyond the end.
    var kernelStep: Int { unsafe steps * Self.rows + 16 }
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

    /// One panel of tiles, [position][step][lane].
    func transformTiles(_ panel: Int, channels: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        let tiles = unsafe tiles(of: panel)
        if unsafe tiles.count < Self.lanes && !isPaired {
            // Lanes without a tile are multiplied too, which numbers that happen to be there would slow down where they are subnormal.
            for position in unsafe 0..<Self.positions {
                let first = unsafe target + position * tileStep + channels.lowerBound * Self.lanes
                unsafe first.update(repeating: 0, count: channels.count * Self.lanes)
            }
        }
        unsafe transformTiles(tiles, channels: channels, lanes: Self.lanes, into: target, positionStep: tileStep)
    }

    /// Some input channels, of which the first is even, of tiles in a panel of `lanes` of them.
    func transformTiles(
        _ tiles: Range<Int>, channels: Range<Int>, lanes: Int, into target: UnsafeMutablePointer<Float>, positionStep: Int
    ) {
        guard unsafe isPaired else {
            for channel in channels {
                unsafe geometry.transformInput(
                    input, channel: channel, tiles: tiles, into: target + channel * lanes, positionStep: positionStep)
            }
            return
        }
        // Two channels, with room for the vectors that reach beyond the end.
        let step = 2 * lanes + 16
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.positions * step + 16) { memory in
            guard let numbers = memory.baseAddress else { return }
            unsafe numbers.update(repeating: 0, count: Self.positions * step)
            for first in stride(from: channels.lowerBound, to: channels.upperBound, by: 2) {
                let pair = first..<min(first + 2, channels.upperBound)
                for channel in pair {
                    unsafe geometry.transformInput(
                        input, channel: channel, tiles: tiles, into: numbers + (channel - first) * lanes, positionStep: step)
                }
                unsafe ck_winograd_pairs(
                    numbers, step, pair.count, Int32(lanes), target + steps(of: first) * lanes, positionStep)
            }
        }
    }

    /// Input channels of kernels that are transformed before they are rounded: whole vectors of the 9 numbers of each.
    private static let pairedChannels = 16

    /// One panel of kernels, [position][step][row].
    func transformKernels(_ panel: Int, into target: UnsafeMutablePointer<Float>) {
        let (outputs, channels) = unsafe (channels(of: panel), geometry.inputChannels)
        guard unsafe isPaired else {
            return unsafe kernels.transform(
                outputs, channels: 0..<channels, rows: Self.rows, into: target, positionStep: kernelStep)
        }
        let step = unsafe Self.pairedChannels * Self.rows + 16
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.positions * step + 64) { memory in
            guard let numbers = memory.baseAddress else { return }
            for first in unsafe stride(from: 0, to: channels, by: Self.pairedChannels) {
                let part = unsafe first..<min(first + Self.pairedChannels, channels)
                unsafe kernels.transform(outputs, channels: part, rows: Self.rows, into: numbers, positionStep: step)
                unsafe ck_winograd_pairs(
                    numbers, step, part.count, Int32(Self.rows), target + steps(of: first) * Self.rows, kernelStep)
            }
        }
    }

    /// The product of a panel of kernels with one of tiles at one position. It is one of several with the same tiles, each of which reads
    /// its part of the next position's tiles ahead.
    func multiply(
        _ kernels: UnsafePointer<Float>, _ tiles: UnsafePointer<Float>, position: Int,
        into products: UnsafeMutablePointer<Float>, part: Int, of parts: Int
    ) {
        let step = unsafe (Self.lanes + parts - 1) / parts
        let multiply = unsafe isPaired ? ck_gemm_pairs_kernel : ck_gemm_kernel
        unsafe multiply(
            PackedProduct.level, Int32(Self.rows), steps,
            kernels + position * kernelStep, Self.rows,
            tiles + position * tileStep, nil, 0, products + position * productStep, Self.lanes,
            tiles + (position + 1) * tileStep + part * step * steps, step)
    }

    /// The products of a panel of kernels with one of tiles back into the pictures.
    func transformProducts(_ products: UnsafePointer<Float>, kernelPanel: Int, tilePanel: Int) {
        let channels = unsafe channels(of: kernelPanel)
        for channel in channels {
            unsafe geometry.transformOutput(
                products + (channel - channels.lowerBound) * Self.lanes, positionStep: productStep, channel: channel,
                bias: bias?[channel] ?? 0, tiles: tiles(of: tilePanel), finish: finish, residual: residual, into: output)
        }
    }
}
