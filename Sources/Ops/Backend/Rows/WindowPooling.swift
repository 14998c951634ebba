import CKernels
import GraphRuntime

/// Pooling of float32 over one or two axes: the windows of a strip of rows are lanes.
struct WindowPooling {
    enum Kind: Sendable, Equatable {
        /// NaN where any of the numbers is.
        case max
        case sum
        /// Whether the padding counts as zeros.
        case average(includesPadding: Bool)
    }

    private let geometry: PoolGeometry
    private let planes: WindowPlanes
    private let count: Int

    /// Floats of a strip with what it reads, which stay in the first-level cache.
    private static let stripFloats = 6 << 10
    /// Numbers that are worth a task.
    private static let grain = 1 << 16
    /// Floats of one row of windows beyond which this isn't tried.
    private static let largestStrip = 1 << 20

    /// - Returns: nil for other axes, and where there are no windows.
    init?(_ geometry: PoolGeometry) {
        let axes = geometry.axes
        guard
            let planes = WindowPlanes(
                input: axes.map(\.input), output: axes.map(\.output), kernel: axes.map(\.kernel), strides: axes.map(\.stride),
                dilations: axes.map(\.dilation), padsBegin: axes.map(\.before)),
            planes.floatCount(rows: 1) <= Self.largestStrip
        else { return nil }
        self.geometry = geometry
        self.planes = planes
        count = geometry.shape.count(0..<2)
    }

    /// - Throws: ``TensorError`` where a tensor isn't float32.
    func run(_ kind: Kind, _ data: Tensor, into output: MutableTensor, threads: ThreadPool) throws {
        nonisolated(unsafe) let source = unsafe try data.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        guard count > 0 else { return }
        let planes = planes
        let (width, taps) = (planes.output.columns, planes.taps)
        let inputCount = planes.input.rows * planes.input.columns
        let outputCount = planes.output.rows * width
        let isSeparable = planes.isSeparable
        let perRow = planes.floatCount(rows: 2) - planes.floatCount(rows: 1) + planes.step
        let rowCount = planes.stripRows(most: Self.stripFloats / perRow)
        let strips = (planes.output.rows + rowCount - 1) / rowCount
        // What is laid out, what is between rows and columns, and windows with what lies between their rows.
        let laidOut = planes.floatCount(rows: rowCount) + 32
        let between = isSeparable ? planes.separateCount(rows: rowCount) + 32 : 0
        let floats = laidOut + between + (planes.isDense ? 0 : planes.laneCount(rows: rowCount)) + 32
        let grouped = max(Self.grain / max(rowCount * width * (taps + 4), 1), 1)
        let groups = (count + grouped - 1) / grouped
        let ones = [Float](repeating: 1, count: taps)
        let (outside, counts) = kind.parameters(geometry)
        @Sendable func combine(_ x: UnsafePointer<Float>, _ offsets: [Int], _ y: UnsafeMutablePointer<Float>, _ lanes: Int) {
            if outside == 0 {
                unsafe ck_window_sum(x, offsets, ones, offsets.count, 0, y, lanes)
            } else {
                unsafe ck_window_max(x, offsets, offsets.count, y, lanes)
            }
        }
        let count = count
        unsafe try threads.forEach(groups * strips, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
            let rows = planes.strip(task % strips, rowCount: rowCount)
            let (fill, offsets) = (planes.fill(rows: rows), planes.offsets(rows: rows.count))
            let separate = isSeparable ? planes.separateOffsets(rows: rows.count) : (rows: [], columns: [])
            let first = task / strips * grouped
            let place = rows.lowerBound * width
            let lanes = planes.laneCount(rows: rows.count)
            for plane in first..<min(first + grouped, count) {
                unsafe ck_window_fill(
                    fill, fill.count, source + plane * inputCount, outside, plane > first ? 1 : 0, memory)
                let result = unsafe target + plane * outputCount + place
                let values = unsafe planes.isDense ? result : memory + laidOut + between
                if isSeparable {
                    let rowLanes = rows.count * planes.step
                    for (phase, offsets) in separate.rows.enumerated() {
                        unsafe combine(memory, offsets, memory + laidOut + phase * rowLanes, rowLanes)
                    }
                    unsafe combine(memory + laidOut, separate.columns, values, lanes)
                } else {
                    unsafe combine(memory, offsets, values, lanes)
                }
                if !planes.isDense {
                    unsafe ck_window_rows(values, planes.step, result, width, rows.count, width)
                }
                guard !counts.isEmpty else { continue }
                unsafe counts.withUnsafeBufferPointer { counts in
                    guard let counts = counts.baseAddress else { return }
                    unsafe ck_div(result, 1, counts + place, 1, result, rows.count * width)
                }
            }
        }
    }
}
