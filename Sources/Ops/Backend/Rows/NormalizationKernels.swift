import CKernels
import GraphRuntime

/// Tiles of the float32 kernels for normalisations, on all threads of a pool; they call the C kernels.
///
/// Throws ``TensorError`` where tensors aren't float32 or have other sizes than the layouts say.
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
        _ x: Tensor, into y: MutableTensor, layout: GroupLayout, scale: [Double],
        bias: [Double], epsilon: Double, hasSiLU: Bool, threads: ThreadPool
    ) throws(TensorError) {
        try check(x, y, layout.blocks * layout.blockCount)
        guard layout.blocks > 0, layout.blockCount > 0 else { return }
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let y = unsafe try y.pointer(to: Float.self)
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
        nonisolated(unsafe) let x = unsafe x
        let measured = threads.map(blocks * parts) { index in
            let start = index % parts * length
            // The last parts of a block that doesn't divide may be empty.
            guard start < blockCount else { return normalization_moments() }
            return unsafe normalization_measure(
                x + index / parts * blockCount + start, min(length, blockCount - start))
        }
        return (0..<blocks).map { block in
            measured[block * parts..<(block + 1) * parts].reduce(normalization_moments(), normalization_merge)
        }
    }

    /// y = activation((x - mean)·factor + bias of the channel), for x of [batch, channels, inner].
    static func channels(
        _ x: Tensor, into y: MutableTensor, batch: Int, inner: Int, mean: [Double],
        factor: [Double], bias: [Double], activation: FusedActivation? = nil, threads: ThreadPool
    ) throws(TensorError) {
        try check(x, y, batch * mean.count * inner)
        guard inner > 0 else { return }
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let y = unsafe try y.pointer(to: Float.self)
        if inner == 1 {
            return threads.forEachRange(batch, grain: max((1 << 14) / max(mean.count, 1), 8)) { rows in
                let first = rows.lowerBound * mean.count
                unsafe normalization_affine_columns(x + first, y + first, rows.count, mean.count, mean, factor, bias)
                unsafe activation?.apply(y + first, y + first, count: rows.count * mean.count)
            }
        }
        threads.forEachRange(batch * mean.count, grain: max((1 << 13) / inner, 1)) { rows in
            for row in rows {
                let channel = row % mean.count
                let target = unsafe y + row * inner
                unsafe normalization_affine(
                    x + row * inner, target, inner, mean[channel], factor[channel], bias[channel], 0)
                unsafe activation?.apply(target, target, count: inner)
            }
        }
    }

    /// Mean and variance of each channel of x of [batch, channels, inner].
    static func channelMoments(
        _ x: Tensor, batch: Int, channels: Int, inner: Int, threads: ThreadPool
    ) throws(TensorError) -> (mean: [Double], variance: [Double]) {
        try check(x, nil, batch * channels * inner)
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        let moments = threads.map(channels) { channel in
            (0..<batch).reduce(normalization_moments()) { moments, item in
                normalization_merge(moments, unsafe normalization_measure(x + (item * channels + channel) * inner, inner))
            }
        }
        return (moments.map(\.mean), moments.map { $0.squares / Double($0.count) })
    }

    /// - Parameter y: nil where there is none.
    private static func check(_ x: Tensor, _ y: MutableTensor?, _ count: Int) throws(TensorError) {
        guard x.count == count, y == nil || y?.count == count else {
            throw TensorError("\(x.shape) or \(y?.shape ?? x.shape) doesn't have \(count) elements")
        }
    }

    /// - Throws: ``TensorError`` where scales or biases aren't those of rows of so many elements.
    private static func check(_ parameter: RowScale?, rows: Int, count: Int) throws(TensorError) {
        guard let parameter else { return }
        let isShared = parameter.rowStride == 0
        guard isShared || parameter.rowStride == count, parameter.tensor.count == (isShared ? count : rows * count) else {
            throw TensorError("\(parameter.tensor.shape) doesn't fit \(rows) rows of \(count) elements")
        }
    }

    /// Layer normalisation of `rows` rows of `count` elements.
    ///
    /// - Parameter statistics: where each row's mean and 1 / standard deviation go, [rows, 2] of float64; nil where nobody asks.
    static func layerRows(
        _ x: Tensor, into y: MutableTensor, rows: Int, count: Int, scale: RowScale, bias: RowScale?, epsilon: Double,
        isWrittenOut: Bool, threads: ThreadPool, statistics: MutableTensor?
    ) throws(TensorError) {
        try check(x, y, rows * count)
        try check(scale, rows: rows, count: count)
        try check(bias, rows: rows, count: count)
        guard statistics == nil || statistics?.count == 2 * rows else {
            throw TensorError("the statistics aren't \(rows) pairs")
        }
        guard count > 0 else { return }
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let y = unsafe try y.pointer(to: Float.self)
        nonisolated(unsafe) let scales = unsafe try scale.tensor.pointer(to: Float.self)
        nonisolated(unsafe) let biases = unsafe try bias?.tensor.pointer(to: Float.self)
        nonisolated(unsafe) let pairs = unsafe try statistics?.pointer(to: Double.self)
        let (scaleStride, biasStride) = (scale.rowStride, bias?.rowStride ?? 0)
        threads.forEachRange(rows, grain: max((1 << 13) / count, 1)) { range in
            let first = range.lowerBound
            unsafe normalization_layer_rows(
                x + first * count, y + first * count, range.count, count, epsilon, scales + first * scaleStride, scaleStride,
                biases.map { unsafe $0 + first * biasStride }, biasStride, isWrittenOut ? 1 : 0,
                pairs.map { unsafe $0 + 2 * first })
        }
    }

    /// y = x / √(mean of x² + epsilon) · scale, row by row; `statistics` gets 0 and each row's factor of x, [rows, 2] of float64.
    static func rootMeanSquareRows(
        _ x: Tensor, into y: MutableTensor, rows: Int, count: Int, scale: RowScale, epsilon: Double, isWrittenOut: Bool,
        threads: ThreadPool, statistics: MutableTensor?
    ) throws(TensorError) {
        try check(x, y, rows * count)
        try check(scale, rows: rows, count: count)
        guard statistics == nil || statistics?.count == 2 * rows else {
            throw TensorError("the statistics aren't \(rows) pairs")
        }
        guard count > 0 else { return }
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let y = unsafe try y.pointer(to: Float.self)
        nonisolated(unsafe) let scales = unsafe try scale.tensor.pointer(to: Float.self)
        nonisolated(unsafe) let pairs = unsafe try statistics?.pointer(to: Double.self)
        let scaleStride = scale.rowStride
        threads.forEachRange(rows, grain: max((1 << 13) / count, 1)) { range in
            let first = range.lowerBound
            unsafe normalization_root_mean_square_rows(
                x + first * count, y + first * count, range.count, count, epsilon, scales + first * scaleStride, scaleStride,
                isWrittenOut ? 1 : 0, pairs.map { unsafe $0 + 2 * first })
        }
    }

    /// Softmax, or its logarithm, along the middle axis of [outer, count, inner].
    static func softmax(
        _ x: Tensor, into y: MutableTensor, outer: Int, count: Int, inner: Int,
        isLogarithm: Bool, threads: ThreadPool
    ) throws(TensorError) {
        try check(x, y, outer * count * inner)
        guard count > 0, inner > 0 else { return }
        nonisolated(unsafe) let x = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let y = unsafe try y.pointer(to: Float.self)
        if inner == 1 {
            let rows = unsafe isLogarithm ? normalization_log_softmax_rows : normalization_softmax_rows
            threads.forEachRange(outer, grain: max((1 << 12) / count, 1)) { range in
                let first = range.lowerBound * count
                unsafe rows(x + first, y + first, range.count, count)
            }
            return
        }
        let columns = unsafe isLogarithm ? normalization_log_softmax_columns : normalization_softmax_columns
        let width = min(inner, 64)
        let pieces = (inner + width - 1) / width
        threads.forEachRange(outer * pieces, grain: max((1 << 12) / (count * width), 1)) { range in
            for index in range {
                let column = index % pieces * width
                let start = index / pieces * count * inner + column
                unsafe columns(x + start, y + start, count, inner, min(width, inner - column))
            }
        }
    }
}
