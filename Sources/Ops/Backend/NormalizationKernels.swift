import CKernels
import GraphRuntime

/// Tiles of the float32 kernels for normalisations, on all threads of a pool; they call the C kernels.
///
/// All memory is as long as the layouts say; callers have checked that.
enum NormalizationKernels {
    /// `batch` × `groups` blocks, each of `channelsPerGroup` × `inner` consecutive elements.
    struct GroupLayout {
        let batch: Int
        let groups: Int
        let channelsPerGroup: Int
        let inner: Int

        var blocks: Int { batch * groups }
        var blockCount: Int { channelsPerGroup * inner }
    }

    /// Normalises each block to mean 0 and variance 1, then applies the scale and bias of each channel (`groups` ×
    /// `channelsPerGroup` of them), then SiLU if asked.
    static func groups(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, layout: GroupLayout, scale: [Double],
        bias: [Double], epsilon: Double, hasSiLU: Bool, threads: ThreadPool
    ) {
        guard layout.blocks > 0, layout.blockCount > 0 else { return }
        nonisolated(unsafe) let x = unsafe x
        nonisolated(unsafe) let y = unsafe y
        @Sendable func writeChannel(_ block: Int, _ channel: Int, _ moments: normalization_moments) {
            let factor = 1 / (moments.squares / Double(moments.count) + epsilon).squareRoot()
            let parameter = block % layout.groups * layout.channelsPerGroup + channel
            let start = block * layout.blockCount + channel * layout.inner
            unsafe normalization_affine(
                x + start, y + start, layout.inner, moments.mean, factor * scale[parameter], bias[parameter], hasSiLU ? 1 : 0)
        }
        // With enough blocks for all threads, each is normalised while it is still in the second-level cache.
        if layout.blocks >= 2 * threads.threadCount || layout.blocks * layout.blockCount < 1 << 14 {
            threads.forEachRange(layout.blocks, grain: max((1 << 13) / layout.blockCount, 1)) { blocks in
                for block in blocks {
                    let moments = unsafe normalization_measure(x + block * layout.blockCount, layout.blockCount)
                    for channel in 0..<layout.channelsPerGroup { writeChannel(block, channel, moments) }
                }
            }
            return
        }
        let moments = unsafe measure(x, blocks: layout.blocks, blockCount: layout.blockCount, threads: threads)
        threads.forEachRange(layout.blocks * layout.channelsPerGroup, grain: max((1 << 13) / layout.inner, 1)) { channels in
            for channel in channels {
                let block = channel / layout.channelsPerGroup
                writeChannel(block, channel % layout.channelsPerGroup, moments[block])
            }
        }
    }

    /// The moments of few large blocks, each measured in parts on several threads.
    private static func measure(
        _ x: UnsafePointer<Float>, blocks: Int, blockCount: Int, threads: ThreadPool
    ) -> [normalization_moments] {
        let parts = min(max(blockCount >> 14, 1), 4 * threads.threadCount)
        let length = (blockCount + parts - 1) / parts
        var measured = [normalization_moments](repeating: normalization_moments(), count: blocks * parts)
        unsafe measured.withUnsafeMutableBufferPointer { measured in
            nonisolated(unsafe) let measured = unsafe measured
            nonisolated(unsafe) let x = unsafe x
            unsafe threads.forEach(measured.count) { index in
                let start = index % parts * length
                guard start < blockCount else { return }
                unsafe measured[index] = unsafe normalization_measure(
                    x + index / parts * blockCount + start, min(length, blockCount - start))
            }
        }
        return (0..<blocks).map { block in
            measured[block * parts..<(block + 1) * parts].reduce(normalization_moments(), normalization_merge)
        }
    }

    /// y = x·factor + offset of the channel, for x of [batch, channels, inner].
    static func channels(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, batch: Int, inner: Int, mean: [Double],
        factor: [Double], bias: [Double], threads: ThreadPool
    ) {
        guard inner > 0 else { return }
        nonisolated(unsafe) let x = unsafe x
        nonisolated(unsafe) let y = unsafe y
        threads.forEachRange(batch * mean.count, grain: max((1 << 13) / inner, 1)) { rows in
            for row in rows {
                let channel = row % mean.count
                unsafe normalization_affine(
                    x + row * inner, y + row * inner, inner, mean[channel], factor[channel], bias[channel], 0)
            }
        }
    }

    /// Mean and variance of each channel of x of [batch, channels, inner].
    static func channelMoments(
        _ x: UnsafePointer<Float>, batch: Int, channels: Int, inner: Int, threads: ThreadPool
    ) -> (mean: [Double], variance: [Double]) {
        var moments = [normalization_moments](repeating: normalization_moments(), count: channels)
        unsafe moments.withUnsafeMutableBufferPointer { moments in
            nonisolated(unsafe) let moments = unsafe moments
            nonisolated(unsafe) let x = unsafe x
            threads.forEachRange(channels, grain: max((1 << 13) / max(batch * inner, 1), 1)) { range in
                for channel in range {
                    for item in 0..<batch {
                        let part = unsafe normalization_measure(x + (item * channels + channel) * inner, inner)
                        unsafe moments[channel] = unsafe normalization_merge(moments[channel], part)
                    }
                }
            }
        }
        return (moments.map(\.mean), moments.map { $0.squares / Double($0.count) })
    }

    /// Elements that the scale and bias of rows are read from.
    @unsafe
    struct RowParameters: @unchecked Sendable {
        let elements: UnsafePointer<Float>
        /// 0 where all rows share theirs, else the rows' length.
        let rowStride: Int
    }

    /// Sums of so large numbers stay finite in any order. (Rows of numbers that are nearly one show how their mean is rounded.)
    private static let largestSquare = 1e29

    /// Layer normalisation of `rows` rows of `count` elements; `record` is called with each row's mean and 1 / standard deviation.
    static func layerRows(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, rows: Int, count: Int, scale: RowParameters,
        bias: RowParameters?, epsilon: Double, isWrittenOut: Bool, threads: ThreadPool,
        record: @Sendable (Int, Double, Double) -> Void
    ) {
        guard count > 0 else { return }
        nonisolated(unsafe) let x = unsafe x
        nonisolated(unsafe) let y = unsafe y
        threads.forEachRange(rows, grain: max((1 << 13) / count, 1)) { range in
            for row in range {
                let moments = unsafe normalization_measure(x + row * count, count)
                let variance = moments.squares / Double(count)
                let factor = 1 / (variance + epsilon).squareRoot()
                let biasRow = unsafe bias.map { unsafe $0.elements + row * $0.rowStride }
                let isUsual = variance < largestSquare && variance * 1e12 >= moments.mean * moments.mean
                if isWrittenOut, !isUsual {
                    unsafe normalization_layer_row_written_out(
                        x + row * count, y + row * count, count, Float(epsilon), scale.elements + row * scale.rowStride,
                        biasRow)
                    continue
                }
                unsafe normalization_affine_elements(
                    x + row * count, y + row * count, count, moments.mean, factor, scale.elements + row * scale.rowStride,
                    biasRow)
                record(row, moments.mean, factor)
            }
        }
    }

    /// y = x / √(mean of x² + epsilon) · scale, row by row; `record` is called with each row's factor of x.
    static func rootMeanSquareRows(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, rows: Int, count: Int, scale: RowParameters,
        epsilon: Double, threads: ThreadPool, record: @Sendable (Int, Double) -> Void
    ) {
        guard count > 0 else { return }
        nonisolated(unsafe) let x = unsafe x
        nonisolated(unsafe) let y = unsafe y
        threads.forEachRange(rows, grain: max((1 << 13) / count, 1)) { range in
            for row in range {
                let mean = unsafe normalization_sum_of_squares(x + row * count, count) / Double(count)
                let factor = 1 / (mean + epsilon).squareRoot()
                unsafe normalization_affine_elements(
                    x + row * count, y + row * count, count, 0, factor, scale.elements + row * scale.rowStride, nil)
                record(row, factor)
            }
        }
    }

    /// Softmax, or its logarithm, along the middle axis of [outer, count, inner].
    static func softmax(
        _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, outer: Int, count: Int, inner: Int,
        isLogarithm: Bool, threads: ThreadPool
    ) {
        guard count > 0, inner > 0 else { return }
        if inner == 1 {
            let row = unsafe isLogarithm ? normalization_log_softmax_row : normalization_softmax_row
            nonisolated(unsafe) let x = unsafe x
            nonisolated(unsafe) let y = unsafe y
            threads.forEachRange(outer, grain: max((1 << 12) / count, 1)) { range in
                for index in range { unsafe row(x + index * count, y + index * count, count) }
            }
            return
        }
        let columns = unsafe isLogarithm ? normalization_log_softmax_columns : normalization_softmax_columns
        let width = min(inner, 64)
        let pieces = (inner + width - 1) / width
        nonisolated(unsafe) let x = unsafe x
        nonisolated(unsafe) let y = unsafe y
        threads.forEachRange(outer * pieces, grain: max((1 << 12) / (count * width), 1)) { range in
            for index in range {
                let column = index % pieces * width
                let start = index / pieces * count * inner + column
                unsafe columns(x + start, y + start, count, inner, min(width, inner - column))
            }
        }
    }
}
