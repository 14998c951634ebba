import GraphRuntime

/// Adds columns of patches up to images, as ONNX's Col2Im does.
///
/// - Parameters:
///   - data: float32 [planes, places of a patch, patches].
///   - fold: which pixels the places of each patch are.
///   - output: [planes, pixels].
/// - Throws: ``TensorError`` where a tensor isn't float32, or counts don't fit.
func foldColumns(_ data: Tensor, _ fold: WindowFold, into output: MutableTensor, threads: ThreadPool) throws(TensorError) {
    nonisolated(unsafe) let source = unsafe try data.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
    let (columns, pixels) = (fold.taps * fold.inputCount, fold.outputCount)
    guard pixels > 0, output.count % pixels == 0, data.count == output.count / pixels * columns else {
        throw TensorError("columns of \(data.shape) don't become images of \(output.shape)")
    }
    threads.forEachRange(output.count / pixels, grain: max(BroadcastPlan.grain / max(columns, pixels), 1)) { planes in
        for plane in planes {
            let sums = unsafe target + plane * pixels
            unsafe sums.update(repeating: 0, count: pixels)
            guard fold.inputCount > 0 else { continue }
            unsafe fold.add(source + plane * columns, channels: 1, rows: 0..<fold.rowCount, columns: 0..<fold.width, to: sums)
        }
    }
}
