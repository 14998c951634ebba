import CKernels
import GraphRuntime

/// Convolutions of one input channel each: the windows of a strip of rows are lanes, and their sums registers for all places of a window.
struct DepthwiseConvolution {
    private let window: ConvolutionWindow
    private let planes: WindowPlanes
    /// How it is computed from the planes as they lie, where it can be.
    private let rows: DepthwiseRows?

    /// Floats of a strip with what it reads, which stay in the first-level cache.
    private static let stripFloats = 6 << 10
    /// Floats of one row of windows beyond which this isn't tried.
    private static let largestStrip = 1 << 20
    /// Numbers that are worth a task.
    private static let grain = 1 << 16
    /// From this many columns on, rows are computed one by one where they go.
    private static let wideColumns = 48

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow) {
        guard window.group == window.inputChannels, window.group > 1 || window.outputChannels == 1, window.batch > 0,
            window.outputChannels > 0,
            let planes = WindowPlanes(window), planes.floatCount(rows: 1) <= Self.largestStrip
        else { return nil }
        self.window = window
        self.planes = planes
        rows = DepthwiseRows(window)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    func run(
        input: Tensor, weights: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let kernels = unsafe try weights.pointer(to: Float.self)
        nonisolated(unsafe) let starts = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        if let rows {
            return unsafe rows.run(source, kernels, starts: starts, epilogue, into: target, threads: threads)
        }
        let (channels, planes) = (window.outputChannels, planes)
        let width = planes.output.columns
        let (inputCount, outputCount, multiplier) = (window.inputCount, window.outputCount, channels / window.group)
        let perRow = planes.floatCount(rows: 2) - planes.floatCount(rows: 1) + planes.step
        let rowCount = planes.stripRows(most: Self.stripFloats / perRow)
        let strips = (planes.output.rows + rowCount - 1) / rowCount
        let laidOut = planes.floatCount(rows: rowCount)
        let isWide = !planes.isDense && width >= Self.wideColumns
        let writesInPlace = isWide || planes.isDense
        // Vectors that begin in the strip may end behind it.
        let floats = laidOut + (writesInPlace ? 0 : planes.laneCount(rows: rowCount)) + 64
        let taps = planes.taps
        let work = rowCount * width * (taps + 4)
        let grouped = max(Self.grain / max(work, 1), 1)
        let count = window.batch * channels
        let groups = (count + grouped - 1) / grouped
        unsafe try threads.forEach(groups * strips, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            let sums = unsafe memory + laidOut + 32
            let rows = planes.strip(task % strips, rowCount: rowCount)
            let (fill, offsets) = (planes.fill(rows: rows), planes.offsets(rows: rows.count))
            let first = task / strips * grouped
            for plane in first..<min(first + grouped, count) {
                let channel = plane % channels
                let read = plane / channels * window.inputChannels + channel / multiplier
                unsafe ck_window_fill(
                    fill, fill.count, source + read * inputCount, 0, plane > first ? 1 : 0, memory)
                let weights = unsafe kernels + channel * taps
                let start = unsafe starts?[channel] ?? 0
                let result = unsafe target + plane * outputCount + rows.lowerBound * width
                if planes.isDense {
                    unsafe ck_window_sum(memory, offsets, weights, taps, start, result, rows.count * width)
                } else if isWide {
                    for row in 0..<rows.count {
                        unsafe ck_window_sum(
                            memory + row * planes.step, offsets, weights, taps, start, result + row * width, width)
                    }
                } else {
                    unsafe ck_window_sum(
                        memory, offsets, weights, taps, start, sums, planes.laneCount(rows: rows.count))
                    unsafe ck_window_rows(sums, planes.step, result, width, rows.count, width)
                }
                if strips > 1 { unsafe epilogue.apply(result, count: rows.count * width, place: result - target) }
            }
            // Whole planes lie one behind the other.
            let planeCount = min(first + grouped, count) - first
            if strips == 1 {
                unsafe epilogue.apply(
                    target + first * outputCount, count: planeCount * outputCount, place: first * outputCount)
            }
        }
    }
}
