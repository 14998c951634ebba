import CKernels
import GraphRuntime

/// Convolutions of float32 whose factors are rounded to bytes, see `byte_planes.h`: the numbers that a strip of windows reads with one
/// scale and zero point, weights with a scale for each output channel. Windows aren't unfolded: VNNI's instructions multiply four channels
/// of neighbouring pixels, which lie side by side.
///
/// A task rounds all channels of a strip of rows, which stay in the second-level cache, and passes panels of the weights over it.
struct DynamicConvolution {
    private let window: ConvolutionWindow
    private let planes: WindowPlanes
    /// How the weights are packed.
    let layout: ByteWindowLayout

    /// Channels, and outputs, of a group below which too little is multiplied for what is rounded: the first and the last convolutions of
    /// U-Net and VAE, whose numbers are the picture's, stay in single precision.
    private static let fewestChannels = 16
    /// Products from which on rounding is worth it: fewer take less than a millisecond as they are.
    static let fewestProducts = ck_rounds_all() != 0 ? 0 : 96e6
    /// Pixels up to which unfolded windows are rows of a product, see ``FewPixelConvolution``.
    private static let fewPixels = 32
    /// Words of a strip's channels that fit the second-level cache beside a panel of weights; of more weights than the cache keeps, the
    /// fewer strips, the fewer times they are read.
    private static let (stripWords, longStripWords, keptWeights) = (104 << 10, 208 << 10, 512 << 10)
    /// Words of the channels of one row of windows beyond which other kernels take less memory.
    private static let largestStrip = 4 << 20
    /// Sums of more products might leave 32 bits.
    private static let mostDepth = 1 << 16
    /// Products below which threads aren't worth waking.
    private static let leastSharedWork = 4e6

    private static let lanes = BytePanels.width

    /// - Returns: nil where the convolution isn't of this kind, may not be rounded, or another kernel is faster: with AMX, or where pairs of
    ///   bfloat16 are multiplied, those are.
    init?(_ window: ConvolutionWindow, _ precision: Precision) {
        guard precision == .int8, precision.withoutBytes == .single, DynamicProduct.isFast, !BytePanels.usesTiles,
            window.batch > 0, let planes = WindowPlanes(window)
        else { return nil }
        let channels = window.inputChannels / window.group
        layout = ByteWindowLayout(
            groups: window.group, outputs: window.outputChannels / window.group, channels: channels, taps: planes.taps)
        self.window = window
        self.planes = planes
        let laneCount = planes.laneCount(rows: planes.output.rows)
        guard layout.channels >= Self.fewestChannels, layout.outputs >= Self.fewestChannels,
            layout.channels * layout.taps <= Self.mostDepth, window.batch * window.outputCount > Self.fewPixels,
            planes.floatCount(rows: 1) <= Self.largestStrip / layout.channelGroups,
            Double(window.batch) * Double(window.outputCount) * Double(window.outputChannels)
                * Double(layout.channels * layout.taps) >= Self.fewestProducts,
            // Lanes between two rows compute for nothing.
            2 * window.outputCount >= (laneCount + Self.lanes / 2 - 1) / (Self.lanes / 2) * (Self.lanes / 2)
        else { return nil }
    }

    /// Output rows of a strip.
    private var rowCount: Int {
        let perRow = planes.floatCount(rows: 2) - planes.floatCount(rows: 1)
        let around = planes.floatCount(rows: 1) - perRow
        let most = layout.floatCount <= Self.keptWeights ? Self.stripWords : Self.longStripWords
        return planes.stripRows(most: (most / layout.channelGroups - around) / max(perRow, 1))
    }

    /// Words from one group of channels to the next: not a multiple of 4 KB, of which the first-level cache keeps a few only.
    private func groupStep(rows: Int) -> Int {
        let size = (planes.floatCount(rows: rows) + 15) / 16 * 16
        return size % 1024 == 0 ? size + 16 : size
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter packed: the weights as ``layout`` has them.
    func run(
        input: Tensor, packed: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let starts = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        nonisolated(unsafe) let weights = unsafe try packed.pointer(to: Float.self)
        let (rowCount, layout) = (rowCount, layout)
        let strips = (planes.output.rows + rowCount - 1) / rowCount
        let tasks = window.batch * window.group * strips
        let work = Double(output.count) * Double(layout.channels * layout.taps)
        let wanted = work < Self.leastSharedWork ? 1 : 2 * threads.threadCount
        let parts = min(max((wanted + tasks - 1) / tasks, 1), layout.panels)
        let laneStep = (planes.laneCount(rows: rowCount) + Self.lanes - 1) / Self.lanes * Self.lanes + 16
        // A last tile's lanes reach behind the last group.
        let words = groupStep(rows: rowCount) * layout.channelGroups + Self.lanes
        let scratch = (words + laneStep * layout.panelRows) * MemoryLayout<UInt32>.stride
        unsafe try threads.forEach(tasks * parts, scratchBytes: scratch) { index, scratch in
            let (task, part) = (index / parts, index % parts)
            let plane = task / strips
            let rows = planes.strip(task % strips, rowCount: rowCount)
            let memory = unsafe scratch.assumingMemoryBound(to: UInt32.self)
            let strip = unsafe Strip(
                words: memory, sums: (scratch + 4 * words).assumingMemoryBound(to: Int32.self), laneStep: laneStep, rows: rows,
                rounding: round(rows, of: source + plane * layout.channels * window.inputCount, into: memory))
            for panel in layout.panels * part / parts..<layout.panels * (part + 1) / parts {
                let numbers = unsafe weights + layout.place(group: plane % window.group, panel: panel)
                unsafe multiply(strip, numbers)
                let outputs = layout.outputs(of: panel)
                let first = plane * layout.outputs + outputs.lowerBound
                unsafe write(
                    strip, numbers, starts.map { unsafe $0 + first % window.outputChannels }, outputs: outputs.count,
                    into: target, place: first * window.outputCount + rows.lowerBound * planes.output.columns, epilogue)
            }
        }
    }

    /// A strip of windows in a task's memory.
    @unsafe
    private struct Strip {
        let words: UnsafeMutablePointer<UInt32>
        /// Of a panel's outputs.
        let sums: UnsafeMutablePointer<Int32>
        let laneStep: Int
        let rows: Range<Int>
        let rounding: ck_byte_rounding
    }

    /// Rounds all channels of a strip.
    private func round(
        _ rows: Range<Int>, of planesOfGroup: UnsafePointer<Float>, into words: UnsafeMutablePointer<UInt32>
    ) -> ck_byte_rounding {
        let phases = planes.fill(rows: rows)
        let inside = phases.filter { $0.rows > 0 && $0.count > 0 }
        let first = inside.map(\.source).min() ?? 0
        let ends = inside.map { phase -> Int in
            let row = phase.source + (phase.rows - 1) * phase.row_step
            return row + (phase.count - 1) * phase.column_step + 1
        }
        let end = ends.max() ?? 0
        var range: (Float, Float, Float) = (0, 0, 0)
        let rounding = unsafe withUnsafeMutablePointer(to: &range) { pointer in
            unsafe pointer.withMemoryRebound(to: Float.self, capacity: 3) { numbers in
                for channel in 0..<layout.channels {
                    unsafe ck_extend_finite_range(planesOfGroup + channel * window.inputCount + first, end - first, numbers)
                }
                return unsafe ck_byte_rounding_of(numbers)
            }
        }
        let step = groupStep(rows: rows.count)
        for group in 0..<layout.channelGroups {
            let channel = 4 * group
            unsafe ck_byte_plane_fill(
                phases, phases.count, planesOfGroup + channel * window.inputCount, window.inputCount,
                Int32(min(4, layout.channels - channel)), rounding, words + group * step)
        }
        return rounding
    }

    /// The sums of a panel's outputs for all windows of a strip.
    private func multiply(_ strip: Strip, _ panel: UnsafePointer<Float>) {
        let (rows, lanes) = unsafe (layout.panelRows, planes.laneCount(rows: strip.rows.count))
        let offsets = unsafe planes.offsets(rows: strip.rows.count)
        let step = unsafe groupStep(rows: strip.rows.count)
        let words = unsafe UnsafeRawPointer(panel).assumingMemoryBound(to: UInt32.self)
        let tiles = (lanes + Self.lanes - 1) / Self.lanes
        // The next panel is read from memory meanwhile, a part with each tile.
        let aheadLines = (layout.panelSize / 16 + tiles - 1) / tiles
        for tile in 0..<tiles {
            let lane = tile * Self.lanes
            unsafe ck_byte_window_product(
                BytePanels.level, Int32(rows), 2 * (lanes - lane) <= Self.lanes ? 1 : 0, layout.channelGroups, step,
                layout.taps, offsets, words + 2 * rows, strip.words + lane, strip.sums + lane, strip.laneStep,
                words + layout.panelSize + tile * aheadLines * 16, aheadLines)
        }
    }

    /// The sums into the pictures, where they are finished while they are in cache.
    ///
    /// - Parameter place: of the first output's first row in the output.
    private func write(
        _ strip: Strip, _ panel: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, outputs: Int,
        into target: UnsafeMutablePointer<Float>, place: Int, _ epilogue: ConvolutionEpilogue
    ) {
        let width = planes.output.columns
        let count = unsafe strip.rows.count * width
        let sums = unsafe UnsafeRawPointer(panel + layout.panelRows).assumingMemoryBound(to: Int32.self)
        for row in 0..<outputs {
            let place = place + row * window.outputCount
            let (rows, columns) = unsafe planes.isDense ? (1, count) : (strip.rows.count, width)
            unsafe ck_scale_window_sums(
                strip.sums + row * strip.laneStep, planes.step, strip.rounding.zero &* sums[row],
                strip.rounding.scale * panel[row], bias?[row] ?? 0, target + place, width, rows, columns)
            unsafe epilogue.apply(target + place, count: count, place: place)
        }
    }
}

/// Weights of groups in panels of outputs, words of four channels, see `ck_pack_byte_windows`: [group][panel]. Panels are of equal height,
/// as tall as a tile at most.
struct ByteWindowLayout: Sendable {
    let groups: Int
    /// Outputs, and channels, of a group.
    let outputs: Int
    let channels: Int
    /// Places of a window.
    let taps: Int
    /// Outputs of a panel.
    let panelRows: Int
    /// Panels of a group.
    let panels: Int

    init(groups: Int, outputs: Int, channels: Int, taps: Int) {
        (self.groups, self.outputs, self.channels, self.taps) = (groups, outputs, channels, taps)
        panelRows = unsafe PackedProduct.balanced(max(outputs, 1), limit: BytePanels.tileRows, multiple: 1)
        panels = (outputs + panelRows - 1) / panelRows
    }

    var channelGroups: Int { (channels + 3) / 4 }
    /// Floats of a panel.
    var panelSize: Int { ck_byte_window_panel_size(channels, taps, Int32(panelRows)) }
    var floatCount: Int { groups * panels * panelSize }
    private var depth: Int { channels * taps }

    func place(group: Int, panel: Int) -> Int { (group * panels + panel) * panelSize }

    /// The outputs of a panel, counted in the group.
    func outputs(of panel: Int) -> Range<Int> { panel * panelRows..<min((panel + 1) * panelRows, outputs) }

    /// The constant [groups · outputs, channels, taps], of float32 or of 16-bit floats, in this order.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32 || weights.dtype.isHalf, weights.count == groups * outputs * depth else { return nil }
        return constants.constant(weights, form: "words of \(groups)×\(outputs)×\(channels)×\(taps) by \(panelRows)") {
            weights, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([floatCount]))
            nonisolated(unsafe) let target = unsafe try result.pointer(to: Float.self)
            let half = weights.dtype.isHalf ? try HalfMatrix(weights, step: depth) : nil
            let source = half == nil ? try weights.aligned() : weights
            try withExtendedLifetime(source) { () throws(TensorError) in
                nonisolated(unsafe) let numbers = unsafe half == nil ? try source.pointer(to: Float.self) : nil
                let scratchBytes = panelRows * depth * MemoryLayout<Float>.stride
                unsafe try threads.forEach(groups * panels, scratchBytes: scratchBytes) { index, scratch in
                    let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
                    let range = outputs(of: index % panels)
                    let row = index / panels * outputs + range.lowerBound
                    unsafe half?.widen(row: row, column: 0, count: range.count * depth, into: memory)
                    unsafe ck_pack_byte_windows(
                        numbers.map { unsafe $0 + row * depth } ?? UnsafePointer(memory), depth, channels, taps,
                        Int32(range.count), Int32(panelRows), target + index * panelSize)
                }
            }
            return result.tensor
        }
    }
}
