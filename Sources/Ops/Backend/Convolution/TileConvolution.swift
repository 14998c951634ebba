import CKernels
import GraphRuntime

/// Convolutions of numbers rounded to bfloat16 by AMX, see `amx_windows.h`.
///
/// A task rounds all channels of a strip of rows, which stay in the second-level cache, and passes panels of the weights over it, each of
/// which makes the sums of 32 output channels.
struct TileConvolution {
    private let window: ConvolutionWindow
    private let planes: WindowPlanes
    /// How the weights are packed.
    let layout: TileWeightLayout

    /// Channels, and outputs, of a group below which too much of a tile is empty.
    private static let fewestChannels = 16
    /// Products from which on rounding is worth it: fewer take less than a millisecond as they are.
    private static let fewestProducts = ck_rounds_all() != 0 ? 0 : 96e6
    /// Floats of a strip's channels that fit the second-level cache beside a panel of weights.
    private static let stripFloats = 352 << 10
    /// Floats of the channels of one row of windows beyond which other kernels take less memory.
    private static let largestStrip = 4 << 20
    /// Floats of a panel's weights up to which the second-level cache keeps them for all windows of a strip.
    private static let keptPanel = 64 << 10
    /// Floats of more weights that one pass over the windows reads, and the first-level cache keeps meanwhile: the next ones come from
    /// far, and the lines of cache that wait for them are those that weights from the second level would wait for as well.
    private static let passFloats = 9 << 10
    /// Floats of weights that the second-level cache keeps, and windows of a strip below which reading more than these again outweighs
    /// the products.
    private static let (keptWeights, leastWindows) = (256 << 10, 256)
    /// Operations below which threads aren't worth waking.
    private static let leastSharedWork = 4e6

    private static let panel = Int(CK_AMX_PANEL)
    private static let pixel = Int(CK_AMX_PIXEL)

    /// Whether convolutions are computed so where they may be rounded.
    static let isAvailable = unsafe PackedProduct.level != 0 && ck_has_amx() != 0

    /// - Returns: nil where the convolution isn't of this kind, or may not be rounded.
    init?(_ window: ConvolutionWindow, _ precision: Precision) {
        guard precision == .bfloat16, Self.isAvailable, window.batch > 0, let planes = WindowPlanes(window) else { return nil }
        layout = TileWeightLayout(
            groups: window.group, outputs: window.outputChannels / window.group, channels: window.inputChannels / window.group,
            taps: planes.taps)
        guard layout.channels >= Self.fewestChannels, layout.outputs >= Self.fewestChannels,
            planes.floatCount(rows: 1) <= Self.largestStrip / (layout.blocks * Self.pixel)
        else { return nil }
        self.window = window
        self.planes = planes
        guard products >= Self.fewestProducts else { return nil }
    }

    private var products: Double {
        Double(window.batch) * Double(window.outputCount) * Double(window.outputChannels)
            * Double(layout.channels * layout.taps)
    }

    /// How the work is cut: pictures and rows of a strip, and parts of the panels of weights.
    private struct Cut {
        /// Pictures whose windows pass the weights together.
        var pictures: Int
        var rowCount: Int
        var strips: Int
        var parts: Int
    }

    private func cut(threads: Int) -> Cut {
        let perPixel = layout.blocks * Self.pixel
        let perRow = planes.floatCount(rows: 2) - planes.floatCount(rows: 1)
        let around = planes.floatCount(rows: 1) - perRow
        let rows = planes.output.rows
        var rowCount = planes.stripRows(most: (Self.stripFloats / perPixel - around) / max(perRow, 1))
        func strips() -> Int { (rows + rowCount - 1) / rowCount }
        let isHeavy = layout.floatCount > Self.keptWeights
        var pictures = 1
        if isHeavy, window.group == 1, strips() == 1 {
            pictures = min(max(Self.stripFloats / (planes.floatCount(rows: rows) * perPixel), 1), window.batch)
        }
        let planeCount = (window.batch + pictures - 1) / pictures * window.group
        guard threads > 1, 2 * products >= Self.leastSharedWork else {
            return Cut(pictures: pictures, rowCount: rowCount, strips: strips(), parts: 1)
        }
        // Several tasks for each thread, so that none waits long for the last one.
        let wanted = (4 * threads + planeCount - 1) / planeCount
        if pictures == 1, strips() < wanted {
            let windows = rows * planes.step
            let most = max(windows / (isHeavy ? Self.leastWindows : 64), 1)
            rowCount = min(rowCount, planes.stripRows(most: (rows + min(most, wanted) - 1) / min(most, wanted)))
        }
        let count = planeCount * strips()
        let isEven = count % threads == 0 || count >= 4 * threads
        let parts = isEven ? 1 : min((2 * threads + count - 1) / count, layout.panels)
        return Cut(pictures: pictures, rowCount: rowCount, strips: strips(), parts: parts)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameters:
    ///   - weights: also of 16-bit floats.
    ///   - rows: the weights as whole numbers with scales, if they are kept as such.
    ///   - packed: the weights as ``layout`` has them; nil where they weren't packed.
    func run(
        input: Tensor, weights: Tensor, rows: QuantizedRows.QuantizedMatrix?, packed: Tensor?, bias: Tensor?,
        _ epilogue: ConvolutionEpilogue, output: MutableTensor, threads: ThreadPool
    ) throws {
        if let packed {
            return unsafe try run(
                input: input, weights: packed.pointer(to: Float.self), bias: bias, epilogue, output: output, threads: threads)
        }
        let layout = layout
        unsafe try threads.withWorkspace(byteCount: layout.floatCount * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            let packed = unsafe memory.assumingMemoryBound(to: Float.self)
            if let rows {
                unsafe try layout.pack(into: packed, threads: threads) { row, count, numbers in
                    for index in 0..<count {
                        unsafe rows.widen(
                            row: row + index, column: 0, count: layout.depth, into: numbers + index * layout.depth)
                    }
                }
            } else {
                unsafe try layout.pack(weights, into: packed, threads: threads)
            }
            unsafe try run(input: input, weights: UnsafePointer(packed), bias: bias, epilogue, output: output, threads: threads)
        }
    }

    private func run(
        input: Tensor, weights: UnsafePointer<Float>, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let starts = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        nonisolated(unsafe) let weights = unsafe weights
        let (layout, cut) = (layout, cut(threads: threads.threadCount))
        let room = TileStripRoom(planes, layout, pictures: cut.pictures, rows: cut.rowCount, passBlocks: passBlocks)
        let groupsOfPictures = (window.batch + cut.pictures - 1) / cut.pictures
        let tasks = groupsOfPictures * window.group * cut.strips * cut.parts
        unsafe try threads.forEach(tasks, scratchBytes: room.floatCount * MemoryLayout<Float>.stride) { task, scratch in
            let part = task % cut.parts
            let plane = task / cut.parts / cut.strips
            let first = plane / window.group * cut.pictures
            let strip = unsafe TileStrip(
                window: window, planes: planes, layout: layout, pictures: first..<min(first + cut.pictures, window.batch),
                group: plane % window.group, rows: planes.strip(task / cut.parts % cut.strips, rowCount: cut.rowCount),
                room: room, memory: scratch.assumingMemoryBound(to: Float.self))
            ck_amx_begin()
            unsafe strip.fill(from: source)
            for panel in layout.panels * part / cut.parts..<layout.panels * (part + 1) / cut.parts {
                unsafe strip.multiply(panel, weights: weights, bias: starts)
                unsafe strip.write(panel, into: target, epilogue)
            }
            ck_amx_end()
        }
    }

    /// Blocks of channels of a pass over the windows.
    private var passBlocks: Int {
        let blockFloats = layout.taps * Int(CK_AMX_STEP)
        guard layout.blocks * blockFloats > Self.keptPanel else { return layout.blocks }
        return max(Self.passFloats / blockFloats, 1)
    }
}
