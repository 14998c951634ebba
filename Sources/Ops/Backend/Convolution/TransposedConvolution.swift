import GraphRuntime

/// The transposed convolution of [N, C, spatial…] with weights [C, M / group, kernel…]: each input pixel's product with the weights is
/// added to the output pixels that it reaches.
///
/// - Parameters:
///   - bias: [M].
///   - fold: where products go.
///   - output: [N, M, spatial…].
func convolveTransposed<Element: BLASElement>(
    _: Element.Type, _ input: Tensor, _ weights: Tensor, bias: Tensor?, group: Int, _ fold: WindowFold,
    into output: MutableTensor, threads: ThreadPool
) throws {
    nonisolated(unsafe) let bias = unsafe try bias?.pointer(to: Element.self)
    nonisolated(unsafe) let source = unsafe try input.pointer(to: Element.self)
    nonisolated(unsafe) let kernel = unsafe try weights.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    guard output.count > 0 else { return }
    let channels = input.shape[1] / group
    let outputChannels = weights.shape[1]
    let inputCount = input.shape.count(2..<input.shape.rank)
    let outputCount = output.shape.count(2..<output.shape.rank)
    let taps = fold.kernel.reduce(1, *)
    try BLASLimits.check(outputChannels * taps, inputCount, channels)
    // Without channels the extents bound no memory, and there is nothing to add.
    let isEmpty = channels == 0 || inputCount == 0
    let pixelStep = isEmpty ? 0 : min(max(columnBytes / (taps * MemoryLayout<Element>.size), 16), inputCount)
    let scratchBytes = isEmpty ? 0 : taps * pixelStep * MemoryLayout<Element>.size
    // A tile is one output channel of one picture: its columns are the product of its weights with all pixels.
    unsafe try threads.forEach(input.shape[0] * group * outputChannels, scratchBytes: scratchBytes) {
        index, scratch in
        let plane = index / outputChannels
        let channel = index % outputChannels
        let result = unsafe target + index * outputCount
        unsafe result.update(
            repeating: bias.map { unsafe $0[plane % group * outputChannels + channel] } ?? 0, count: outputCount)
        guard !isEmpty else { return }
        let columns = unsafe scratch.assumingMemoryBound(to: Element.self)
        for start in stride(from: 0, to: inputCount, by: pixelStep) {
            let pixels = start..<min(start + pixelStep, inputCount)
            unsafe GEMM(
                transposeA: true, m: taps, n: pixels.count, k: channels,
                a: kernel + (plane % group * channels * outputChannels + channel) * taps, lda: outputChannels * taps,
                b: source + plane * channels * inputCount + start, ldb: inputCount, c: columns, ldc: pixels.count
            ).run()
            unsafe fold.add(columns, of: pixels, to: result)
        }
    }
}

/// Columns of this many bytes stay in the second-level cache until they are added.
private let columnBytes = 1 << 20

/// Adds the columns of a transposed convolution to the output pixels that they reach: the inverse of ``Im2Col``.
struct WindowFold {
    let input: [Int]
    let output: [Int]
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    let padsBegin: [Int]

    /// - Parameter columns: [kernel positions, pixels.count] for input pixels `pixels`.
    func add<Element: BLASElement>(
        _ columns: UnsafePointer<Element>, of pixels: Range<Int>, to result: UnsafeMutablePointer<Element>
    ) {
        var tap = [Int](repeating: 0, count: kernel.count)
        var pixel = [Int](repeating: 0, count: kernel.count)
        for row in 0..<kernel.reduce(1, *) {
            decompose(row, by: kernel, into: &tap)
            let values = unsafe columns + row * pixels.count
            for index in pixels {
                decompose(index, by: input, into: &pixel)
                if let offset = offset(of: pixel, tap) { unsafe result[offset] += values[index - pixels.lowerBound] }
            }
        }
    }

    /// Where a pixel's product with the weights at a kernel position goes; nil for the padding.
    private func offset(of pixel: [Int], _ tap: [Int]) -> Int? {
        var offset = 0
        for axis in kernel.indices {
            let position = pixel[axis] * strides[axis] + tap[axis] * dilations[axis] - padsBegin[axis]
            guard position >= 0, position < output[axis] else { return nil }
            offset = offset * output[axis] + position
        }
        return offset
    }
}
