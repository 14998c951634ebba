import CKernels
import GraphRuntime

/// Convolutions whose windows aren't unfolded: the products of a tile of output channels with a tile of windows read the input's numbers
/// where they lie, laid out so that windows are lanes.
///
/// A task lays out all channels of a strip of rows, which stay in the second-level cache, and passes panels of the weights over it.
struct WindowConvolution {
    private let window: ConvolutionWindow
    private let planes: WindowPlanes
    private let channels: Int
    private let outputs: Int
    /// Floats of a strip's channels.
    private let stripFloats: Int

    /// At most as many floats of a strip's channels as fit half a second-level cache.
    private static let stripFloats = 96 << 10
    /// Floats of the channels of one row of windows beyond which unfolding takes less memory.
    private static let largestStrip = 4 << 20
    /// Weights that the second-level cache keeps from one strip to the next.
    private static let keptWeights = 512 << 10
    /// Floats of a strip's channels where the weights are more than that: the fewer strips, the fewer times they are read.
    private static let longStripFloats = 512 << 10
    /// With more weights than the last-level cache keeps, unfolded windows of all pictures read them once.
    private static let mostWeights = 4 << 20
    /// Lanes of a strip for which reading weights again costs little.
    private static let leastLanes = 48
    /// Operations below which threads aren't worth waking.
    private static let leastSharedWork = 1.5e6
    /// Floats that the first-level cache keeps until an activation follows.
    private static let joinedFloats = 4 << 10
    /// Pixels of so few tiles, and kernels up to which these cost more to transform than to be multiplied as they are.
    private static let (fewPixels, mostKernelsOfFewPixels) = (256, 1 << 14)
    /// Output channels at least for which a task lays a strip out again rather than to take a shorter strip, and multiplications that each
    /// number has to be worth that is laid out again.
    private static let (leastOutputs, leastProducts) = (48, 700)

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow) {
        guard unsafe PackedProduct.level != 0, window.batch > 0, window.outputChannels > 0, window.inputChannels > 0,
            let planes = WindowPlanes(window),
            planes.floatCount(rows: 1) <= Self.largestStrip / (window.inputChannels / window.group)
        else { return nil }
        self.window = window
        self.planes = planes
        channels = window.inputChannels / window.group
        outputs = window.outputChannels / window.group
        let weights = window.outputChannels * channels * window.kernelCount
        stripFloats = weights <= Self.keptWeights ? Self.stripFloats : Self.longStripFloats
        guard
            weights <= Self.keptWeights
                || weights <= Self.mostWeights && planes.laneCount(rows: longestStrip) >= Self.leastLanes
        else { return nil }
    }

    /// Rows of the longest strips that are laid out at once.
    private var longestStrip: Int {
        let perRow = planes.floatCount(rows: 2) - planes.floatCount(rows: 1)
        let around = planes.floatCount(rows: 1) - perRow
        let fitting = max((stripFloats / channels - around) / max(perRow, 1), 1)
        return planes.stripRows(most: max(fitting, (64 + planes.step - 1) / planes.step))
    }

    /// Whether 3×3 windows take less time than by minimal filtering, whose transforms cost as much as they save where channels or pixels are
    /// few. Pictures whose lanes are mostly between two rows, or behind the last one, are left to that.
    var isFasterThanFiltering: Bool {
        guard window.kernelCount == 9 else { return false }
        let lanes = unsafe PackedProduct.columns
        let computed = (planes.laneCount(rows: planes.output.rows) + lanes - 1) / lanes * lanes
        let hasFewPixels =
            window.batch * window.outputCount <= Self.fewPixels
            && window.inputChannels * window.outputChannels <= Self.mostKernelsOfFewPixels
        if hasFewPixels { return 3 * window.outputCount >= 2 * computed }
        return 4 * window.outputCount >= 3 * computed && min(window.inputChannels, window.outputChannels) < 48
    }

    /// How the weights are packed.
    var layout: RowPanelLayout { RowPanelLayout(groups: window.group, rows: outputs, depth: channels * window.kernelCount) }

    /// Floats from one laid out channel to the next: not a multiple of 4 KB, of which the first-level cache keeps a few only.
    private func channelStep(rows: Int) -> Int {
        let size = (planes.floatCount(rows: rows) + 15) / 16 * 16
        return size % 1024 == 0 ? size + 16 : size
    }

    /// Output channels for which a task lays a strip out again.
    private func leastOutputs(rows: Int) -> Int {
        let products = planes.laneCount(rows: rows) * window.kernelCount
        return max(Self.leastOutputs, Self.leastProducts * planes.floatCount(rows: rows) / max(products, 1))
    }

    /// How the work is cut: rows of a strip, strips of a picture, and parts of the panels of weights.
    private struct Cut {
        var rowCount: Int
        var strips: Int
        var parts: Int
    }

    private func cut(threads: Int) -> Cut {
        var rowCount = longestStrip
        let work =
            2 * Double(window.outputCount) * Double(window.outputChannels) * Double(channels * window.kernelCount)
            * Double(window.batch)
        func strips() -> Int { (planes.output.rows + rowCount - 1) / rowCount }
        let pictures = window.batch * window.group
        guard threads > 1, work >= Self.leastSharedWork else { return Cut(rowCount: rowCount, strips: strips(), parts: 1) }
        let wanted = (4 * threads + pictures - 1) / pictures
        let panels = layout.panels
        var parts = 1
        if strips() < wanted {
            parts = min(max(outputs / leastOutputs(rows: rowCount), 1), (wanted + strips() - 1) / strips(), panels)
            // None waits for another's last one.
            if parts > threads { parts -= parts % threads }
        }
        if strips() * parts < wanted {
            // Strips of at least 96 windows: their last tiles are partly empty.
            let most = max(planes.output.rows * planes.step / 96, 1)
            rowCount = planes.stripRows(most: (planes.output.rows + min(most, wanted) - 1) / min(most, wanted))
        }
        if strips() * parts * pictures < threads { parts = min(panels, (threads + strips() - 1) / strips()) }
        return Cut(rowCount: rowCount, strips: strips(), parts: parts)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter panels: the weights as ``layout`` has them; nil where they weren't packed.
    func run(
        input: Tensor, weights: Tensor, panels: Tensor?, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        if let panels {
            return unsafe try run(
                input: input, panels: panels.pointer(to: Float.self), bias: bias, epilogue, output: output, threads: threads)
        }
        let source = unsafe try weights.pointer(to: Float.self)
        let layout = layout
        unsafe try threads.withWorkspace(byteCount: layout.floatCount * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            let packed = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe layout.pack(source, into: packed, threads: threads)
            unsafe try run(input: input, panels: UnsafePointer(packed), bias: bias, epilogue, output: output, threads: threads)
        }
    }

    private func run(
        input: Tensor, panels: UnsafePointer<Float>, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let starts = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        nonisolated(unsafe) let panels = unsafe panels
        if window.isPointwise {
            return unsafe try PointwiseConvolution(window, layout).run(
                source, panels, starts: starts, epilogue, into: target, threads: threads)
        }
        let (planes, layout, cut) = (planes, layout, cut(threads: threads.threadCount))
        let (channels, outputs, taps) = (channels, outputs, planes.taps)
        let lanes = unsafe PackedProduct.columns
        let laneStep = (planes.laneCount(rows: cut.rowCount) + lanes - 1) / lanes * lanes + 16
        let channelFloats = channelStep(rows: cut.rowCount) * channels
        // A last tile's lanes reach behind the last channel.
        let floats = channelFloats + lanes + laneStep * layout.panelRows + layout.panelRows + 64
        let tasks = window.batch * window.group * cut.strips * cut.parts
        let writesWindows = ck_has_window_strips() != 0
        unsafe try threads.forEach(tasks, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            let products = unsafe memory + channelFloats + lanes
            let panelStarts = unsafe products + laneStep * layout.panelRows
            let part = task % cut.parts
            let rows = planes.strip(task / cut.parts % cut.strips, rowCount: cut.rowCount)
            let plane = task / cut.parts / cut.strips
            let (picture, group) = (plane / window.group, plane % window.group)
            let channelStep = channelStep(rows: rows.count)
            let fill = planes.fill(rows: rows)
            let offsets = planes.offsets(rows: rows.count)
            for channel in 0..<channels {
                unsafe ck_window_fill(
                    fill, fill.count, source + (plane * channels + channel) * window.inputCount, 0, 0,
                    memory + channel * channelStep)
            }
            let laneCount = planes.laneCount(rows: rows.count)
            if writesWindows {
                let strip = WindowStrip(
                    layout: layout, group: group,
                    panels: layout.panels * part / cut.parts..<layout.panels * (part + 1) / cut.parts,
                    place: plane * outputs * window.outputCount + rows.lowerBound * planes.output.columns,
                    windows: rows.count * planes.output.columns, planeStep: window.outputCount)
                return unsafe offsets.withUnsafeBufferPointer { offsets in
                    unsafe strip.multiply(
                        ck_window_strip(
                            x: memory, channels: channels, channel_step: channelStep, taps: taps, offsets: offsets.baseAddress,
                            lanes: laneCount, step: planes.step, width: planes.output.columns),
                        panels, starts: starts, panelStarts: panelStarts, epilogue, into: target)
                }
            }
            for panel in layout.panels * part / cut.parts..<layout.panels * (part + 1) / cut.parts {
                let firstOutput = group * outputs + panel * layout.panelRows
                let rowCount = min(layout.panelRows, outputs - panel * layout.panelRows)
                for row in 0..<layout.panelRows {
                    unsafe panelStarts[row] = unsafe row < rowCount ? starts?[firstOutput + row] ?? 0 : 0
                }
                let weights = unsafe panels + layout.place(group: group, panel: panel)
                let firstPlace =
                    (picture * window.outputChannels + firstOutput) * window.outputCount
                    + rows.lowerBound * planes.output.columns
                // Whole tiles go to their place, where windows are as dense as there.
                let placed = planes.isDense && rowCount == layout.panelRows ? laneCount / lanes * lanes : 0
                for lane in stride(from: 0, to: laneCount, by: lanes) {
                    let isPlaced = lane < placed
                    unsafe ck_window_product(
                        PackedProduct.level, Int32(layout.panelRows), 2 * (laneCount - lane) <= lanes ? 1 : 0, channels,
                        channelStep, taps, offsets, weights, memory + lane, panelStarts,
                        isPlaced ? target + firstPlace + lane : products + lane, isPlaced ? window.outputCount : laneStep)
                }
                let (width, count) = (planes.output.columns, rows.count * planes.output.columns)
                let result = unsafe target + firstPlace
                if planes.isDense {
                    unsafe ck_window_rows(
                        products + placed, laneStep, result + placed, window.outputCount, rowCount, laneCount - placed)
                } else {
                    for row in 0..<rowCount {
                        unsafe ck_window_rows(
                            products + row * laneStep, planes.step, result + row * window.outputCount, width, rows.count, width)
                    }
                }
                if count == window.outputCount, rowCount * count <= Self.joinedFloats {
                    // Whole channels, which lie one behind the other.
                    unsafe epilogue.apply(result, count: rowCount * count, place: firstPlace)
                } else {
                    for row in 0..<rowCount {
                        let place = firstPlace + row * window.outputCount
                        unsafe epilogue.apply(target + place, count: count, place: place)
                    }
                }
            }
        }
    }
}

/// Weights of groups in panels of rows, which a kernel reads column by column: [group][panel][column][row of the panel]. Panels are of
/// equal height, as tall as a tile at most.
struct RowPanelLayout: Sendable {
    let groups: Int
    /// Rows of a group.
    let rows: Int
    /// Columns.
    let depth: Int
    /// Rows of a panel.
    let panelRows: Int
    /// Panels of a group.
    let panels: Int

    init(groups: Int, rows: Int, depth: Int) {
        self.groups = groups
        self.rows = rows
        self.depth = depth
        panelRows = unsafe PackedProduct.balanced(rows, limit: PackedProduct.rows, multiple: 1)
        panels = (rows + panelRows - 1) / panelRows
    }

    /// Packing may write 16 floats behind a panel.
    private var panelStep: Int { panelRows * depth + 16 }

    var floatCount: Int { groups * panels * panelStep }

    func place(group: Int, panel: Int) -> Int { (group * panels + panel) * panelStep }

    /// - Parameter source: [groups · rows, depth].
    func pack(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) {
        nonisolated(unsafe) let (source, target) = unsafe (source, target)
        threads.forEach(groups * panels) { index in
            let (group, panel) = (index / panels, index % panels)
            let first = panel * panelRows
            unsafe ck_pack_rows(
                source + (group * rows + first) * depth, depth, depth, Int32(min(panelRows, rows - first)),
                Int32(panelRows), target + place(group: group, panel: panel))
        }
    }

    /// The constant in this order.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32, weights.count == groups * rows * depth else { return nil }
        return unsafe constants.floats(
            weights, form: "panels of \(panelRows) rows of \(groups)×\(rows)×\(depth)", count: floatCount
        ) {
            unsafe pack($0, into: $1, threads: $2)
        }
    }
}

extension PackedConstants {
    /// A constant of float32, or of halves, which are widened, in another order, of `count` numbers.
    func floats(
        _ weights: Tensor, form: String, count: Int,
        _ pack: @escaping @Sendable (UnsafePointer<Float>, UnsafeMutablePointer<Float>, ThreadPool) -> Void
    ) -> PackedConstant? {
        constant(weights, form: form) { weights, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([count]))
            let source = try weights.widened(threads: threads).aligned()
            try withExtendedLifetime(source) { () throws(TensorError) in
                unsafe pack(try source.pointer(to: Float.self), try result.pointer(to: Float.self), threads)
            }
            return result.tensor
        }
    }
}
