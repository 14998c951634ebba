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
        let inner = kernel.count - 1
        let (width, step) = (input[inner], strides[inner])
        var tap = [Int](repeating: 0, count: kernel.count)
        for place in 0..<kernel.reduce(1, *) {
            decompose(place, by: kernel, into: &tap)
            let values = unsafe columns + place * pixels.count
            let shift = tap[inner] * dilations[inner] - padsBegin[inner]
            // Pixels of a row whose products go inside: 0 <= pixel * step + shift < output.
            let first = shift >= 0 ? 0 : (-shift + step - 1) / step
            let end = output[inner] - shift <= 0 ? 0 : (output[inner] - shift + step - 1) / step
            for row in pixels.lowerBound / width...(pixels.upperBound - 1) / width {
                guard let offset = outputRow(row, tap) else { continue }
                let start = row * width
                let lower = max(first, pixels.lowerBound - start)
                let upper = min(end, width, pixels.upperBound - start)
                guard lower < upper else { continue }
                let source = unsafe values + (start + lower - pixels.lowerBound)
                let target = unsafe result + (offset + lower * step + shift)
                for index in 0..<upper - lower { unsafe target[index * step] += source[index] }
            }
        }
    }

    /// Where the output row begins to which the products of an input row at a kernel position go; nil for the padding.
    private func outputRow(_ row: Int, _ tap: [Int]) -> Int? {
        var (rest, offset) = (row, 0)
        var extent = output[kernel.count - 1]
        for axis in stride(from: kernel.count - 2, through: 0, by: -1) {
            let position = rest % input[axis] * strides[axis] + tap[axis] * dilations[axis] - padsBegin[axis]
            rest /= input[axis]
            guard position >= 0, position < output[axis] else { return nil }
            offset += position * extent
            extent *= output[axis]
        }
        return offset
    }
}
