import CKernels
import GraphRuntime

/// Depthwise convolutions by square kernels, row by row from the planes as they lie, see `depthwise.h`.
struct DepthwiseRows {
    private let geometry: ck_depthwise_geometry
    private let pictures: Int
    private let channels: Int
    /// Numbers of a plane, and of its kernel.
    private let (inputCount, outputCount, taps): (Int, Int, Int)

    /// Products that are worth a task.
    private static let grain = 1 << 17
    /// Floats of planes that the first-level cache keeps until an activation follows.
    private static let joinedFloats = 4 << 10
    /// Planes that are computed together.
    private static let together = 4
    /// Output rows that are worth reading those around them again.
    private static let leastRows = 8

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow) {
        guard window.group == window.inputChannels, window.group == window.outputChannels, window.kernel.count == 2,
            window.kernel[0] == window.kernel[1], window.strides[0] == window.strides[1], window.dilations == [1, 1],
            ck_has_depthwise(window.kernel[0], window.strides[0]) != 0
        else { return nil }
        geometry = ck_depthwise_geometry(
            input_rows: window.input[0], input_columns: window.input[1], output_rows: window.output[0],
            output_columns: window.output[1], pad_top: window.padsBegin[0], pad_left: window.padsBegin[1],
            kernel: Int32(window.kernel[0]), stride: Int32(window.strides[0]))
        (pictures, channels) = (window.batch, window.group)
        (inputCount, outputCount, taps) = (window.inputCount, window.outputCount, window.kernelCount)
    }

    /// Channels of a task, and output rows.
    private func cut(threads: Int) -> (channels: Int, rows: Int) {
        let rows = geometry.output_rows
        let worth = pictures * channels * outputCount * (taps + 4) / Self.grain
        guard threads > 1, worth > 1 else { return (channels, rows) }
        // As many tasks on each thread.
        let tasks = (min(worth, 4 * threads) + threads - 1) / threads * threads
        let groups = min((tasks + pictures - 1) / pictures, (channels + Self.together - 1) / Self.together)
        let group = (channels + groups - 1) / groups
        let grouped = (group + Self.together - 1) / Self.together * Self.together
        let parts = min(max(tasks / (groups * pictures), 1), max(rows / Self.leastRows, 1))
        return (min(grouped, channels), (rows + parts - 1) / parts)
    }

    /// - Parameters:
    ///   - source: [pictures, channels, rows, columns].
    ///   - kernels: [channels, kernel, kernel].
    ///   - starts: [channels]; nil for zeros.
    func run(
        _ source: UnsafePointer<Float>, _ kernels: UnsafePointer<Float>, starts: UnsafePointer<Float>?,
        _ epilogue: ConvolutionEpilogue, into target: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) {
        let (grouped, rowCount) = cut(threads: threads.threadCount)
        let groups = (channels + grouped - 1) / grouped
        let parts = (geometry.output_rows + rowCount - 1) / rowCount
        let joined = max(Self.joinedFloats / outputCount / Self.together, 1) * Self.together
        nonisolated(unsafe) let (source, kernels, starts, target) = unsafe (source, kernels, starts, target)
        threads.forEach(pictures * groups * parts) { task in
            let rows = task % parts * rowCount..<min((task % parts + 1) * rowCount, geometry.output_rows)
            let (picture, group) = (task / parts / groups, task / parts % groups)
            let last = min((group + 1) * grouped, channels)
            for channel in stride(from: group * grouped, to: last, by: joined) {
                let count = min(joined, last - channel)
                let plane = picture * channels + channel
                unsafe withUnsafePointer(to: geometry) { geometry in
                    unsafe ck_depthwise(
                        geometry, source + plane * inputCount, count, kernels + channel * taps,
                        starts.map { unsafe $0 + channel },
                        rows.lowerBound, rows.upperBound, target + plane * outputCount)
                }
                if rows.count == geometry.output_rows {
                    // Whole planes lie one behind the other.
                    let place = plane * outputCount
                    unsafe epilogue.apply(target + place, count: count * outputCount, place: place)
                } else {
                    for index in plane..<plane + count {
                        let place = index * outputCount + rows.lowerBound * geometry.output_columns
                        unsafe epilogue.apply(target + place, count: rows.count * geometry.output_columns, place: place)
                    }
                }
            }
        }
    }
}
