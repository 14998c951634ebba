import CKernels
import GraphRuntime
import Synchronization

/// 3×3 convolutions of stride 1 of small pictures by minimal filtering F(2×2, 3×3): 16 products for 4 output pixels in the place of 36
/// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1), of pairs of bfloat16.
///
/// Kernels that weigh more than the pictures are what takes the time. Those of F(4×4, 3×3) are too many to be kept transformed and cost more
/// to transform than their products; these are transformed once, and kept as pairs: 32 bytes a kernel, where single precision has 36. The
/// transforms only add and halve, so that rounding after them adds less than in F(4×4, 3×3). At each of the 16 positions there is a
/// product of the transformed tiles [tiles, input channels] with the kernels [input channels, output channels].
struct Winograd2x2 {
    let layout: Winograd2x2Layout
    private let geometry: WinogradGeometry
    /// Pixels of an input picture, and of an output picture.
    private let inputArea: Int
    private let outputArea: Int

    /// Kernels from which on they outweigh the pictures' transforms.
    private static let fewestKernels = 1 << 18
    /// Tiles of F(4×4, 3×3) from which on that takes less time.
    private static let mostLargeTiles = 16

    /// - Returns: nil where the convolution isn't of this kind, where pairs aren't multiplied or wanted, where weights are kept in another
    ///   format, or where another kernel is faster: of a single tile of 4×4 pixels, unfolded pixels read half as much of kernels.
    init?(_ window: ConvolutionWindow, _ precision: Precision, _ format: WeightFormat) {
        guard ProductPrecision(precision, isPacked: false) == .bfloat16, format == .stored, !TileConvolution.isAvailable,
            window.inputChannels * window.outputChannels >= Self.fewestKernels,
            let large = WinogradGeometry(window), (2...Self.mostLargeTiles).contains(large.tileCount),
            let geometry = WinogradGeometry(window, side: 2)
        else { return nil }
        self.geometry = geometry
        (inputArea, outputArea) = (window.inputCount, window.outputCount)
        layout = Winograd2x2Layout(inputs: window.inputChannels, outputs: window.outputChannels)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter kernels: the weights, as ``layout`` has them.
    func run(
        input: Tensor, kernels: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        let (tiles, inputs, outputs) = (geometry.tileCount, layout.inputs, layout.outputs)
        let positions = Winograd2x2Layout.positions
        let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let kernels = unsafe try kernels.pointer(to: Float.self)
        let bias = unsafe try bias?.pointer(to: Float.self)
        let target = unsafe try output.pointer(to: Float.self)
        // Vectors of products reach beyond the last one.
        let floats = positions * tiles * (inputs + outputs) + Int(CK_WINOGRAD_2X2_CHANNELS)
        let inRegisters = unsafe epilogue.inRegisters
        unsafe try threads.withWorkspace(byteCount: floats * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            nonisolated(unsafe) let transformed = unsafe memory.assumingMemoryBound(to: Float.self)
            nonisolated(unsafe) let products = unsafe transformed + positions * tiles * inputs
            unsafe try transformInput(source, into: transformed, threads: threads)
            unsafe try multiply(transformed, kernels, into: products, threads: threads)
            unsafe try transformProducts(
                products, bias: bias, residual: inRegisters?.residual, finish: inRegisters?.finish ?? .nothing, into: target,
                threads: threads)
        }
        if unsafe inRegisters == nil { try epilogue.apply(to: output, threads: threads) }
    }

    /// Calls `body` for parts of the channels of each picture, with scratch memory for `floats` numbers.
    private func forEachPart(
        of channels: Int, floats: Int, threads: ThreadPool,
        _ body: @Sendable (_ picture: Int, _ channels: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) throws(TensorError) {
        let step = Int(CK_WINOGRAD_2X2_CHANNELS)
        let parts = (channels + step - 1) / step
        unsafe try threads.forEach(geometry.batch * parts, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let first = task % parts * step
            unsafe body(task / parts, first..<min(first + step, channels), scratch.assumingMemoryBound(to: Float.self))
        }
    }

    /// [position][tile][input channel]
    private func transformInput(
        _ input: UnsafePointer<Float>, into transformed: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        let (inputs, tiles) = (layout.inputs, geometry.tileCount)
        nonisolated(unsafe) let (input, transformed) = unsafe (input, transformed)
        unsafe try forEachPart(of: inputs, floats: ck_winograd_2x2_scratch(inputArea), threads: threads) {
            picture, channels, scratch in
            unsafe withUnsafePointer(to: geometry.kernel) { geometry in
                unsafe ck_winograd_2x2_input(
                    geometry, input + (picture * inputs + channels.lowerBound) * inputArea, inputArea, Int32(channels.count),
                    scratch, transformed + picture * self.geometry.tilesPerPicture * inputs + channels.lowerBound,
                    tiles * inputs, inputs)
            }
        }
    }

    /// [position][tile][output channel]
    private func multiply(
        _ transformed: UnsafePointer<Float>, _ kernels: UnsafePointer<Float>, into products: UnsafeMutablePointer<Float>,
        threads: ThreadPool
    ) throws(TensorError) {
        let (tiles, inputs, outputs) = (geometry.tileCount, layout.inputs, layout.outputs)
        let (columns, panelRows) = unsafe (PackedProduct.columns, layout.steps)
        let failures = Atomic(0)
        nonisolated(unsafe) let (transformed, kernels, products) = unsafe (transformed, kernels, products)
        MatrixTiles(
            batch: Winograd2x2Layout.positions, m: tiles, n: outputs, k: inputs, threads: threads.threadCount,
            columnMultiple: columns
        ).forEach(threads) { position, rows, part in
            let isDone = unsafe PackedProduct(
                m: rows.count, n: part.count, k: inputs, a: transformed + (position * tiles + rows.lowerBound) * inputs,
                lda: inputs, b: .panels(kernels + position * layout.positionStep + part.lowerBound * panelRows),
                c: products + (position * tiles + rows.lowerBound) * outputs + part.lowerBound, ldc: outputs,
                precision: .bfloat16
            ).run()
            if !isDone { failures.add(1, ordering: .relaxed) }
        }
        guard failures.load(ordering: .relaxed) == 0 else {
            throw TensorError("no memory to pack \(tiles) tiles of \(inputs) channels into")
        }
    }

    private func transformProducts(
        _ products: UnsafePointer<Float>, bias: UnsafePointer<Float>?, residual: UnsafePointer<Float>?, finish: ck_finish,
        into output: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        let (outputs, tiles) = (layout.outputs, geometry.tileCount)
        nonisolated(unsafe) let (products, bias, residual, output) = unsafe (products, bias, residual, output)
        unsafe try forEachPart(of: outputs, floats: 2 * ck_winograd_2x2_scratch(outputArea), threads: threads) {
            picture, channels, scratch in
            var finish = finish
            let plane = (picture * outputs + channels.lowerBound) * outputArea
            unsafe withUnsafePointer(to: geometry.kernel) { geometry in
                unsafe ck_winograd_2x2_output(
                    geometry, products + picture * self.geometry.tilesPerPicture * outputs + channels.lowerBound,
                    tiles * outputs, outputs, Int32(channels.count), bias.map { unsafe $0 + channels.lowerBound },
                    residual.map { unsafe $0 + plane }, &finish, scratch, output + plane, outputArea)
            }
        }
    }
}

/// Kernels transformed for ``Winograd2x2``, in panels of output channels of pairs of bfloat16: [position][panel][pair of input
/// channels][output channel].
struct Winograd2x2Layout: Sendable {
    let inputs: Int
    let outputs: Int

    static let positions = Int(CK_WINOGRAD_2X2_POSITIONS)
    private static let width = unsafe PackedProduct.columns
    /// Input channels whose kernels are transformed before they are rounded: of a panel, 64 KB.
    private static let blockChannels = 32

    private var panels: Int { (outputs + Self.width - 1) / Self.width }
    /// Rows of a panel.
    var steps: Int { PanelLayout.rows(depth: inputs, isPaired: true) }
    /// Floats of the panels of a position.
    var positionStep: Int { panels * steps * Self.width }

    /// The constant in this order.
    ///
    /// - Parameter weights: [outputs, inputs, 3, 3].
    /// - Returns: nil where it isn't of float32 or of 16-bit floats, or would be in memory twice.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32 || weights.dtype.isHalf, weights.count == outputs * inputs * 9 else { return nil }
        return constants.constant(weights, form: "2×2 tiles of \(inputs)×\(outputs), panels of \(Self.width)") {
            weights, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([Self.positions * positionStep]))
            unsafe try pack(
                try WinogradKernels(weights, inputChannels: inputs), into: try result.pointer(to: Float.self), threads: threads)
            return result.tensor
        }
    }

    private func pack(_ kernels: WinogradKernels, into target: UnsafeMutablePointer<Float>, threads: ThreadPool)
        throws(TensorError)
    {
        nonisolated(unsafe) let target = unsafe target
        let (width, most) = (Self.width, Self.blockChannels)
        let step = most * width
        let bytes = Self.positions * step * MemoryLayout<Float>.stride
        unsafe try threads.forEach(panels, scratchBytes: bytes) { panel, scratch in
            let numbers = unsafe scratch.assumingMemoryBound(to: Float.self)
            let channels = panel * width..<min((panel + 1) * width, outputs)
            for first in stride(from: 0, to: inputs, by: most) {
                let block = first..<min(first + most, inputs)
                unsafe kernels.transform(
                    channels, channels: block, rows: width, into: numbers, positionStep: step, by: ck_winograd_2x2_weights)
                for position in 0..<Self.positions {
                    let place = unsafe target + position * positionStep + (panel * steps + first / 2) * width
                    unsafe ck_pack_column_pairs(
                        numbers + position * step, width, block.count, Int32(width), Int32(width), 1, place, width)
                }
            }
        }
    }
}
