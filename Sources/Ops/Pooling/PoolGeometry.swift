import GraphRuntime

/// How a node states its windows (ONNX MaxPool, AveragePool, LpPool).
struct PoolAttributes {
    enum Padding {
        case explicit([Int]?)
        case sameUpper, sameLower, valid
    }

    var kernel: [Int]
    var strides: [Int]?
    var dilations: [Int]?
    var padding: Padding
    /// Whether the last window may reach beyond the end.
    var roundsUp: Bool

    init(_ decoder: inout NodeDecoder) throws {
        guard let kernel = try decoder.optionalInts("kernel_shape") else {
            throw TensorError("attribute kernel_shape is missing")
        }
        self.kernel = kernel
        strides = try decoder.optionalInts("strides")
        dilations = try decoder.optionalInts("dilations")
        roundsUp = try decoder.bool("ceil_mode", default: false)
        let pads = try decoder.optionalInts("pads")
        let name = try decoder.string("auto_pad", default: "NOTSET")
        switch name {
        case "NOTSET", "": padding = .explicit(pads)
        case "SAME_UPPER": padding = .sameUpper
        case "SAME_LOWER": padding = .sameLower
        case "VALID": padding = .valid
        default: throw TensorError("the auto_pad \"\(name)\" isn't supported")
        }
    }

    /// - Parameter shape: batch, channels, then the axes that windows move along.
    func geometry(_ shape: Shape) throws -> PoolGeometry {
        let rank = shape.rank - 2
        let ones = Array(repeating: 1, count: max(rank, 0))
        let (strides, dilations) = (strides ?? ones, dilations ?? ones)
        guard rank >= 1, kernel.count == rank, strides.count == rank, dilations.count == rank,
            (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 < 1 << 31 })
        else {
            throw TensorError("a window of \(kernel), strides \(strides) and dilations \(dilations) doesn't fit \(shape)")
        }
        var pads: [Int]?
        if case .explicit(let given) = padding {
            pads = given ?? Array(repeating: 0, count: 2 * rank)
            guard pads?.count == 2 * rank, pads?.allSatisfy({ $0 >= 0 && $0 < 1 << 31 }) ?? false else {
                throw TensorError("pads \(given ?? []) don't fit \(shape)")
            }
        }
        let axes = (0..<rank).map { axis in
            self.axis(
                shape[axis + 2], kernel: kernel[axis], stride: strides[axis], dilation: dilations[axis],
                pads: pads.map { ($0[axis], $0[axis + rank]) })
        }
        return PoolGeometry(axes: axes, shape: shape)
    }

    private func axis(_ extent: Int, kernel: Int, stride: Int, dilation: Int, pads: (Int, Int)?) -> PoolAxis {
        let reach = (kernel - 1) * dilation + 1
        if let pads {
            let room = pads.0 + extent + pads.1 - reach
            let steps = room + (roundsUp ? stride - 1 : 0)
            // Rounded up, a window that is larger than what it passes over by less than a step has a place.
            var output = steps < 0 || !roundsUp && room < 0 ? 0 : steps / stride + 1
            // A window must start on an element or on the padding before them.
            if roundsUp, output > 0, (output - 1) * stride >= extent + pads.0 { output -= 1 }
            return PoolAxis(
                input: extent, output: output, kernel: kernel, stride: stride, dilation: dilation, before: pads.0, after: pads.1
            )
        }
        if case .valid = padding {
            let output = extent < reach ? 0 : (extent - reach) / stride + 1
            return PoolAxis(
                input: extent, output: output, kernel: kernel, stride: stride, dilation: dilation, before: 0, after: 0)
        }
        let output = (extent + stride - 1) / stride
        let total = max((output - 1) * stride + reach - extent, 0)
        var before = total / 2
        if case .sameLower = padding { before = total - before }
        return PoolAxis(
            input: extent, output: output, kernel: kernel, stride: stride, dilation: dilation, before: before,
            after: total - before)
    }
}

/// The windows along one axis.
struct PoolAxis {
    var input: Int
    var output: Int
    var kernel: Int
    var stride: Int
    var dilation: Int
    var before: Int
    var after: Int

    /// Whether no window lies in the padding alone; false where that isn't plain to see.
    var alwaysSeesElements: Bool { input > 0 && dilation == 1 && before < kernel && after < kernel }

    /// The elements of a window: the first one's index and their number, and how many places it has with the padding.
    func window(_ index: Int) -> (first: Int, count: Int, padded: Int) {
        let start = index * stride - before
        func taps(upTo end: Int) -> Int { end <= start ? 0 : min(kernel, (end - start + dilation - 1) / dilation) }
        let skipped = start < 0 ? min(kernel, (-start + dilation - 1) / dilation) : 0
        return (start + skipped * dilation, max(taps(upTo: input) - skipped, 0), taps(upTo: input + after))
    }
}

/// The windows over all axes.
struct PoolGeometry {
    let axes: [PoolAxis]
    let shape: Shape

    func output() throws(TensorError) -> Shape { try Shape(shape.dimensions[..<2] + axes.map(\.output)) }

    /// What the sum of each window over all axes is divided by: 1 for windows without an element, whose sum is 0.
    func divisors(includesPadding: Bool) -> [Float] {
        let counts = axes.map { axis in
            (0..<axis.output).map { index in
                let window = axis.window(index)
                return (window.count, includesPadding ? window.padded : window.count)
            }
        }
        var result: [Float] = [1]
        var isEmpty = [false]
        for axis in counts {
            isEmpty = isEmpty.flatMap { outer in axis.map { outer || $0.0 == 0 } }
            result = result.flatMap { outer in axis.map { outer * Float($0.1) } }
        }
        return zip(result, isEmpty).map { $1 || $0 == 0 ? 1 : $0 }
    }
}

/// One window over a plane: rows of elements that lie `step` apart.
struct PoolWindow {
    /// The plane's number.
    let plane: Int
    /// Where the window's first row starts in the tensor.
    fileprivate let base: Int
    /// Where its plane does.
    let planeStart: Int
    /// Along every axis but the last: the first index, the number of elements, the distance of two in memory.
    fileprivate let outer: [(offset: Int, count: Int, step: Int)]
    let rowCount: Int
    /// Along the last axis.
    let columns: Int
    let step: Int
    /// The number of places, padding included.
    let paddedCount: Int

    var count: Int { rowCount * columns }

    /// Where in the tensor a row starts.
    @inline(__always)
    func start(_ row: Int) -> Int {
        var (rest, offset) = (row, base)
        for axis in stride(from: outer.count - 1, through: 0, by: -1) {
            let (quotient, index) = rest.quotientAndRemainder(dividingBy: outer[axis].count)
            offset += index * outer[axis].step
            rest = quotient
        }
        return offset
    }
}

/// The windows of all planes, in the order of the outputs: one for each.
struct PoolWindows: Sendable {
    private let axes: [PoolAxis]
    private let windows: [[(first: Int, count: Int, padded: Int)]]
    private let strides: [Int]
    private let planeSize: Int
    /// Rows of outputs along the last axis, in each plane.
    private let rows: Int
    /// Outputs of a row.
    let rowLength: Int
    /// Rows that are worth a thread.
    let grain: Int

    init(_ geometry: PoolGeometry) {
        axes = geometry.axes
        planeSize = geometry.shape.count(2..<geometry.shape.rank)
        // Without outputs an axis may be of any length.
        let isEmpty = geometry.shape.count(0..<2) == 0 || axes.contains { $0.output == 0 }
        windows = isEmpty ? [] : axes.map { axis in (0..<axis.output).map { axis.window($0) } }
        strides = Array(geometry.shape.strides[2...])
        rowLength = axes.last?.output ?? 1
        rows = isEmpty ? 0 : axes.dropLast().reduce(1) { $0 * $1.output }
        grain = max(4096 / max(rowLength, 1), 1)
    }

    /// Calls `body` for each window of a range of rows, with the number of the window in the range.
    @inline(__always)
    func forEach(in range: Range<Int>, _ body: (_ window: PoolWindow, _ place: Int) -> Void) {
        guard let last = axes.last else { return }
        var place = 0
        for index in range {
            let (plane, row) = (index / rows, index % rows)
            var rest = row
            var outer = [(offset: Int, count: Int, step: Int)](repeating: (0, 0, 0), count: axes.count - 1)
            var (base, rowCount, padded) = (plane * planeSize, 1, 1)
            for axis in stride(from: axes.count - 2, through: 0, by: -1) {
                let window = windows[axis][rest % axes[axis].output]
                rest /= axes[axis].output
                outer[axis] = (window.first, window.count, axes[axis].dilation * strides[axis])
                base += window.first * strides[axis]
                rowCount *= window.count
                padded = saturatingMultiply(padded, window.padded)
            }
            for column in 0..<last.output {
                let window = windows[axes.count - 1][column]
                body(
                    PoolWindow(
                        plane: plane, base: base + window.first, planeStart: plane * planeSize, outer: outer,
                        rowCount: window.count == 0 ? 0 : rowCount, columns: window.count, step: last.dilation,
                        paddedCount: saturatingMultiply(padded, window.padded)), place)
                place += 1
            }
        }
    }
}
