import CKernels
import GraphRuntime

/// Pooling of float32 over one or two axes by windows of many places: of the rows of each column, then of the columns, so that a window of
/// 13×13 takes 26 steps instead of 169.
struct SeparatePooling {
    private let geometry: PoolGeometry
    private let rows: PoolAxis
    private let columns: PoolAxis
    /// Numbers of a row with what windows see around it.
    private let lineCount: Int

    /// Whether windows don't lie side by side, which ``WindowPooling`` is for where it can be.
    var isStrided: Bool { columns.stride > 1 }

    /// Places of a window from which on this takes less time.
    private static let leastPlaces = 36
    /// Numbers of a row beyond which this isn't tried.
    private static let largestLine = 1 << 20
    /// Numbers that are worth a task.
    private static let grain = 1 << 16

    /// - Returns: nil for other axes and windows, and where there are none.
    init?(_ geometry: PoolGeometry) {
        let axes = geometry.axes
        guard (1...2).contains(axes.count), geometry.shape.count > 0, axes.allSatisfy({ $0.output > 0 }) else { return nil }
        self.geometry = geometry
        columns = axes[axes.count - 1]
        rows =
            axes.count == 2
            ? axes[0] : PoolAxis(input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0)
        // Each is below 2^31, and their sum a number.
        let reach = (columns.output - 1) * columns.stride + (columns.kernel - 1) * columns.dilation + 1
        lineCount = max(reach, columns.before + columns.input)
        guard lineCount <= Self.largestLine, rows.kernel * columns.kernel >= Self.leastPlaces else { return nil }
    }

    /// - Throws: ``TensorError`` where a tensor isn't float32, or there is no memory for a row.
    func run(_ kind: WindowPooling.Kind, _ data: Tensor, into output: MutableTensor, threads: ThreadPool) throws {
        nonisolated(unsafe) let source = unsafe try data.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let (outside, divisors) = kind.parameters(geometry)
        let (rows, columns, lineCount) = (rows, columns, lineCount)
        let count = geometry.shape.count(0..<2) * rows.output
        let work = columns.input * min(rows.kernel, rows.input) + columns.output * columns.kernel
        let chunk = max(Self.grain / work, 1)
        let chunks = (count + chunk - 1) / chunk
        unsafe try threads.forEach(chunks, scratchBytes: lineCount * MemoryLayout<Float>.stride) { index, scratch in
            let line = unsafe scratch.assumingMemoryBound(to: Float.self)
            unsafe line.update(repeating: outside, count: lineCount)
            for place in index * chunk..<min((index + 1) * chunk, count) {
                let (plane, row) = (place / rows.output, place % rows.output)
                let window = rows.window(row)
                let result = unsafe target + place * columns.output
                if window.count > 0 {
                    unsafe ck_pool_row(
                        source + (plane * rows.input + window.first) * columns.input, rows.dilation * columns.input,
                        window.count, columns.input, line, columns.before, columns.kernel, columns.dilation, columns.stride,
                        result, columns.output, outside == 0 ? 1 : 0)
                } else {
                    unsafe result.update(repeating: outside, count: columns.output)
                }
                guard !divisors.isEmpty else { continue }
                unsafe divisors.withUnsafeBufferPointer { divisors in
                    guard let divisors = divisors.baseAddress else { return }
                    unsafe ck_div(result, 1, divisors + row * columns.output, 1, result, columns.output)
                }
            }
        }
    }
}

extension WindowPooling.Kind {
    /// What is outside of a plane, 0 where windows are summed up, and what the sums of a plane's windows are divided by, nothing where
    /// they aren't.
    func parameters(_ geometry: PoolGeometry) -> (outside: Float, divisors: [Float]) {
        switch self {
        case .max: (-.infinity, [])
        case .sum: (0, [])
        case .average(let includesPadding): (0, geometry.divisors(includesPadding: includesPadding))
        }
    }
}
