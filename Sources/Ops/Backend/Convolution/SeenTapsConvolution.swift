import CKernels
import GraphRuntime

/// Dilated convolutions of stride 1 many of whose taps see padding: each tap is a product of its weights with the rectangle of pixels that
/// it sees, which is added to the rectangle of the output that sees it.
///
/// A task computes some output channels of a strip of rows, of which the pixels of all channels stay in the second-level cache.
struct SeenTapsConvolution: Sendable {
    private let window: ConvolutionWindow
    private let layout: TapPanelLayout
    /// Those that see any pixel.
    private let taps: [Tap]
    /// Columns that any tap sees pixels from.
    private let seenColumns: Int

    /// Numbers of a strip's pixels that the second-level cache keeps.
    private static let stripCount = 96 << 10
    /// Input channels at least, so that adding products costs little.
    private static let leastChannels = 32
    /// Multiplications and additions below which threads aren't worth waking.
    private static let leastSharedWork = 1.5e6

    /// - Returns: nil where the convolution isn't of this kind, or where kernels that see the padding take no more time.
    init?(_ window: ConvolutionWindow) {
        guard unsafe PackedProduct.level != 0, window.kernel.count == 2, window.group == 1, window.batch > 0,
            window.strides.allSatisfy({ $0 == 1 }), window.dilations.contains(where: { $0 > 1 }),
            window.inputChannels >= Self.leastChannels, window.outputChannels > 0, window.outputCount > 0,
            window.kernelCount <= 1 << 10, let planes = WindowPlanes(window)
        else { return nil }
        self.window = window
        layout = TapPanelLayout(taps: window.kernelCount, outputs: window.outputChannels, channels: window.inputChannels)
        taps = Self.taps(window)
        seenColumns = taps.map(\.output.columns.count).max() ?? 0
        let seen = taps.reduce(0) { $0 + $1.output.pixels }
        // Lanes between rows are computed in vain, and what is computed here is added once more.
        guard 5 * seen < 4 * window.kernelCount * planes.laneCount(rows: planes.output.rows) else { return nil }
    }

    /// Rows and columns of a plane.
    private struct Rectangle {
        var rows: Range<Int>
        var columns: Range<Int>
        var pixels: Int { rows.count * columns.count }
    }

    /// A tap, the output that sees pixels by it, and how far these are from there.
    private struct Tap {
        let index: Int
        var output: Rectangle
        let down: Int
        let right: Int
    }

    private static func taps(_ window: ConvolutionWindow) -> [Tap] {
        (0..<window.kernelCount).compactMap { index in
            let place = [index / window.kernel[1], index % window.kernel[1]]
            let shifts = (0..<2).map { place[$0] * window.dilations[$0] - window.padsBegin[$0] }
            let seeing = (0..<2).map { axis in
                let lower = min(max(-shifts[axis], 0), window.output[axis])
                return lower..<max(min(window.input[axis] - shifts[axis], window.output[axis]), lower)
            }
            let output = Rectangle(rows: seeing[0], columns: seeing[1])
            return output.pixels == 0 ? nil : Tap(index: index, output: output, down: shifts[0], right: shifts[1])
        }
    }

    /// The weights in panels.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        layout.packed(weights, constants: constants)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter panels: what ``packed(_:constants:)`` has made of the weights; nil where they weren't packed.
    func run(
        input: Tensor, weights: Tensor, panels: Tensor?, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        if let panels {
            return unsafe try run(
                input: input, panels: panels.pointer(to: Float.self), bias: bias, epilogue, output: output, threads: threads)
        }
        let source = unsafe try weights.pointer(to: Float.self)
        unsafe try threads.withWorkspace(byteCount: layout.floatCount * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            let packed = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe layout.pack(source, into: packed, threads: threads)
            unsafe try run(input: input, panels: packed, bias: bias, epilogue, output: output, threads: threads)
        }
    }

    /// How the work is cut: rows of a strip, strips of a picture, and parts of the panels of weights.
    private func cut(threads: Int) -> (stripRows: Int, strips: Int, blocks: Int) {
        let height = window.output[0]
        let stripRows = min(max(Self.stripCount / window.inputChannels / max(seenColumns, 1), 1), height)
        let strips = (height + stripRows - 1) / stripRows
        let seen = Double(taps.reduce(0) { $0 + $1.output.pixels } * window.batch)
        let work = 2 * seen * Double(window.inputChannels) * Double(window.outputChannels)
        guard threads > 1, work >= Self.leastSharedWork else { return (stripRows, strips, 1) }
        let tasks = strips * window.batch
        return (stripRows, strips, min(max((4 * threads + tasks - 1) / tasks, 1), layout.panels))
    }

    private func run(
        input: Tensor, panels: UnsafePointer<Float>, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        nonisolated(unsafe) let bias = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let panels = unsafe panels
        let channels = window.inputChannels
        let (height, width) = (window.output[0], window.output[1])
        let cut = cut(threads: threads.threadCount)
        let pixels = cut.stripRows * seenColumns
        let floats = layout.panelRows + (channels + layout.panelRows) * pixels
        unsafe try threads.forEach(
            window.batch * cut.strips * cut.blocks, scratchBytes: floats * MemoryLayout<Float>.stride
        ) { index, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            unsafe memory.update(repeating: 0, count: layout.panelRows)
            let (block, picture) = (index % cut.blocks, index / cut.blocks / cut.strips)
            let firstRow = index / cut.blocks % cut.strips * cut.stripRows
            let rows = firstRow..<min(firstRow + cut.stripRows, height)
            let own = layout.panels * block / cut.blocks..<layout.panels * (block + 1) / cut.blocks
            let outputs = own.lowerBound * layout.panelRows..<min(own.upperBound * layout.panelRows, window.outputChannels)
            func place(_ channel: Int) -> Int {
                ((picture * window.outputChannels + channel) * height + rows.lowerBound) * width
            }
            for channel in outputs {
                let start = unsafe bias?[channel] ?? 0
                unsafe (target + place(channel)).update(repeating: start, count: rows.count * width)
            }
            for var tap in taps {
                tap.output.rows = tap.output.rows.clamped(to: rows)
                guard tap.output.pixels > 0 else { continue }
                unsafe add(
                    tap, source + picture * channels * window.input[0] * window.input[1], panels, own, memory,
                    seen: memory + layout.panelRows, products: memory + layout.panelRows + channels * pixels,
                    to: target + picture * window.outputChannels * height * width)
            }
            for channel in outputs {
                unsafe epilogue.apply(target + place(channel), count: rows.count * width, place: place(channel))
            }
        }
    }

    /// Adds what the output sees by a tap.
    ///
    /// - Parameters:
    ///   - source: the picture.
    ///   - starts: zeros for the rows of a panel.
    ///   - sums: the output's picture.
    private func add(
        _ tap: Tap, _ source: UnsafePointer<Float>, _ panels: UnsafePointer<Float>, _ own: Range<Int>,
        _ starts: UnsafePointer<Float>, seen: UnsafeMutablePointer<Float>, products: UnsafeMutablePointer<Float>,
        to sums: UnsafeMutablePointer<Float>
    ) {
        let (part, width) = (tap.output, window.output[1])
        let corner = (part.rows.lowerBound + tap.down) * window.input[1] + part.columns.lowerBound + tap.right
        unsafe gather(source + corner, part, into: seen)
        for panel in own {
            let first = panel * layout.panelRows
            let count = min(layout.panelRows, window.outputChannels - first)
            unsafe withUnsafePointer(to: ck_finish.nothing) { finish in
                unsafe ck_pointwise(
                    Int32(count), window.inputChannels, part.pixels, seen, part.pixels,
                    panels + layout.place(tap: tap.index, panel: panel), layout.panelRows, starts, nil, finish, products,
                    part.pixels, nil)
            }
            for row in 0..<count {
                let place = ((first + row) * window.output[0] + part.rows.lowerBound) * width + part.columns.lowerBound
                unsafe ck_add_interleaved(
                    products + row * part.pixels, 0, part.columns.count, 1, sums + place, 1, width, part.columns.count,
                    part.rows.count)
            }
        }
    }

    /// The pixels of all channels that a rectangle of the output sees by a tap, of which the first is at `corner`.
    private func gather(_ corner: UnsafePointer<Float>, _ part: Rectangle, into seen: UnsafeMutablePointer<Float>) {
        let (rowStep, planeStep) = (window.input[1], window.input[0] * window.input[1])
        let columns = part.columns.count
        for channel in 0..<window.inputChannels {
            for row in 0..<part.rows.count {
                unsafe (seen + channel * part.pixels + row * columns).update(
                    from: corner + channel * planeStep + row * rowStep, count: columns)
            }
        }
    }
}

/// Weights [outputs, channels, taps] of a convolution as panels of output channels for each tap.
struct TapPanelLayout: Sendable {
    let taps: Int
    let outputs: Int
    let channels: Int
    /// Rows of a panel.
    let panelRows: Int
    /// Panels of a tap.
    let panels: Int

    init(taps: Int, outputs: Int, channels: Int) {
        (self.taps, self.outputs, self.channels) = (taps, outputs, channels)
        panelRows = unsafe PackedProduct.balanced(outputs, limit: PackedProduct.rows, multiple: 1)
        panels = (outputs + panelRows - 1) / panelRows
    }

    var floatCount: Int { taps * panels * panelRows * channels }

    func place(tap: Int, panel: Int) -> Int { (tap * panels + panel) * panelRows * channels }

    func pack(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) {
        nonisolated(unsafe) let (source, target) = unsafe (source, target)
        threads.forEach(panels) { panel in
            let first = panel * panelRows
            let rows = min(panelRows, outputs - first)
            for tap in 0..<taps {
                let to = unsafe target + place(tap: tap, panel: panel)
                for channel in 0..<channels {
                    for row in 0..<panelRows {
                        unsafe to[channel * panelRows + row] =
                            row < rows ? source[((first + row) * channels + channel) * taps + tap] : 0
                    }
                }
            }
        }
    }

    /// The constant in this order.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32, weights.count == taps * outputs * channels else { return nil }
        return unsafe constants.floats(
            weights, form: "panels of \(panelRows) rows of \(taps) taps of \(outputs)×\(channels)", count: floatCount
        ) { unsafe pack($0, into: $1, threads: $2) }
    }
}
