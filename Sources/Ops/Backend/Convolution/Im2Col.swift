import GraphRuntime

/// Unfolds a tile of a convolution's windows into a matrix, one row per (channel, kernel position) and one column per output
/// pixel, so that the convolution is a product with the weights (Chellapilla et al., "High Performance Convolutional Neural
/// Networks for Document Processing", 2006).
struct Im2Col<Element: BLASElement> {
    let window: ConvolutionWindow
    /// Channels of one group.
    let channels: Int

    init(_ window: ConvolutionWindow) {
        self.window = window
        channels = window.inputChannels / window.group
    }

    /// Rows of the matrix.
    var rowCount: Int { channels * window.kernelCount }

    /// Fills the rows `rows` of a matrix [rowCount, pixels.count], whose rows begin `rowStride` elements apart, from one picture's
    /// group of channels.
    func fill(
        _ matrix: UnsafeMutablePointer<Element>, rowStride: Int, rows: Range<Int>, from source: UnsafePointer<Element>,
        pixels: Range<Int>
    ) {
        let rank = window.kernel.count
        let inner = rank - 1
        let outputWidth = window.output[inner]
        let firstRow = pixels.lowerBound / max(outputWidth, 1)
        let lastRow = (pixels.upperBound - 1) / max(outputWidth, 1)
        var tap = [Int](repeating: 0, count: rank)
        for row in rows {
            let channel = row / window.kernelCount
            decompose(row % window.kernelCount, by: window.kernel, into: &tap)
            let plane = unsafe source + channel * window.inputCount
            var target = unsafe matrix + row * rowStride
            for outputRow in firstRow...lastRow {
                let rowStart = outputRow * outputWidth
                let columns = max(pixels.lowerBound - rowStart, 0)..<min(pixels.upperBound - rowStart, outputWidth)
                if let offset = sourceRow(outputRow, tap: tap) {
                    unsafe copyRow(target, from: plane + offset, tap: tap[inner], columns: columns)
                } else {
                    unsafe target.update(repeating: 0, count: columns.count)
                }
                unsafe target += columns.count
            }
        }
    }

    /// Output pixels of a row below which finding where a row begins takes longer than copying it pixel by pixel.
    private static var shortestRow: Int { 16 }

    /// Fills a matrix [rowCount, batch × pixels] from all pictures of a convolution without groups.
    func fillJoined(_ matrix: UnsafeMutablePointer<Element>, from source: UnsafePointer<Element>, threads: ThreadPool) {
        let (pixelCount, tapCount) = (window.outputCount, window.kernelCount)
        nonisolated(unsafe) let matrix = unsafe matrix
        nonisolated(unsafe) let source = unsafe source
        guard window.output[window.output.count - 1] < Self.shortestRow else {
            return threads.forEachRange(rowCount, grain: 256) { rows in
                for picture in 0..<window.batch {
                    unsafe fill(
                        matrix + picture * pixelCount, rowStride: window.batch * pixelCount, rows: rows,
                        from: source + picture * window.inputChannels * window.inputCount, pixels: 0..<pixelCount)
                }
            }
        }
        let places = places
        threads.forEachRange(rowCount, grain: 256) { rows in
            unsafe places.withUnsafeBufferPointer { places in
                for row in rows {
                    let (channel, tap) = (row / tapCount, row % tapCount)
                    for picture in 0..<window.batch {
                        let plane = unsafe source + (picture * window.inputChannels + channel) * window.inputCount
                        let target = unsafe matrix + (row * window.batch + picture) * pixelCount
                        for pixel in 0..<pixelCount {
                            let place = unsafe places[tap * pixelCount + pixel]
                            unsafe target[pixel] = unsafe place < 0 ? 0 : plane[place]
                        }
                    }
                }
            }
        }
    }

    /// Where in a plane each output pixel reads, for one kernel position after the other; -1 in the padding.
    private var places: [Int] {
        // Of the axes so far; each further one multiplies both the kernel positions and the pixels.
        var (places, taps, pixels) = ([0], 1, 1)
        for axis in window.kernel.indices {
            let (kernel, output, input) = (window.kernel[axis], window.output[axis], window.input[axis])
            var next: [Int] = []
            next.reserveCapacity(places.count * kernel * output)
            for tap in 0..<taps * kernel {
                let start = tap % kernel * window.dilations[axis] - window.padsBegin[axis]
                for place in places[tap / kernel * pixels..<(tap / kernel + 1) * pixels] {
                    for column in 0..<output {
                        let position = start + column * window.strides[axis]
                        next.append(place < 0 || position < 0 || position >= input ? -1 : place * input + position)
                    }
                }
            }
            (places, taps, pixels) = (next, taps * kernel, pixels * output)
        }
        return places
    }

    /// The offset of the input row that an output row reads at a kernel position; nil where it lies in the padding.
    private func sourceRow(_ outputRow: Int, tap: [Int]) -> Int? {
        var rest = outputRow
        var offset = 0
        var step = window.input[window.kernel.count - 1]
        for axis in stride(from: window.kernel.count - 2, through: 0, by: -1) {
            let position =
                rest % window.output[axis] * window.strides[axis] + tap[axis] * window.dilations[axis] - window.padsBegin[axis]
            rest /= window.output[axis]
            guard position >= 0, position < window.input[axis] else { return nil }
            offset += position * step
            step *= window.input[axis]
        }
        return offset
    }

    private func copyRow(
        _ target: UnsafeMutablePointer<Element>, from source: UnsafePointer<Element>, tap: Int, columns: Range<Int>
    ) {
        let axis = window.kernel.count - 1
        let width = window.input[axis]
        let stride = window.strides[axis]
        let shift = tap * window.dilations[axis] - window.padsBegin[axis]
        // Columns whose source lies inside of the row: 0 <= column * stride + shift < width.
        let first = shift >= 0 ? 0 : (-shift + stride - 1) / stride
        let end = width - shift <= 0 ? 0 : (width - shift + stride - 1) / stride
        let lower = min(max(first, columns.lowerBound), columns.upperBound)
        let upper = max(min(end, columns.upperBound), lower)
        unsafe (target).update(repeating: 0, count: lower - columns.lowerBound)
        let inside = unsafe target + (lower - columns.lowerBound)
        if stride == 1 {
            unsafe inside.update(from: source + lower + shift, count: upper - lower)
        } else {
            for column in lower..<upper { unsafe inside[column - lower] = unsafe source[column * stride + shift] }
        }
        unsafe (target + (upper - columns.lowerBound)).update(repeating: 0, count: columns.upperBound - upper)
    }
}

/// Splits a row-major index into its position along each axis.
func decompose(_ index: Int, by extents: [Int], into position: inout [Int]) {
    var rest = index
    for axis in stride(from: extents.count - 1, through: 0, by: -1) {
        position[axis] = rest % extents[axis]
        rest /= extents[axis]
    }
}
