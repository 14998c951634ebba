import GraphRuntime

/// The attributes of a convolution (ONNX Conv-11) as ConvInteger and QLinearConv state them.
struct IntegerConvolution: Sendable {
    let autoPad: String
    let dilations: [Int]?
    let group: Int
    let kernelShape: [Int]?
    let pads: [Int]?
    let strides: [Int]?

    /// Of any attribute and any extent: with it no product of two overflows.
    private static let largest = 1 << 24

    init(_ decoder: inout NodeDecoder) throws {
        autoPad = try decoder.string("auto_pad", default: "NOTSET")
        dilations = try decoder.optionalInts("dilations")
        group = try decoder.int("group", default: 1)
        kernelShape = try decoder.optionalInts("kernel_shape")
        pads = try decoder.optionalInts("pads")
        strides = try decoder.optionalInts("strides")
        guard ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].contains(autoPad) else {
            throw TensorError("attribute auto_pad is \"\(autoPad)\"")
        }
        let steps = (strides ?? []) + (dilations ?? []) + [group]
        guard steps.allSatisfy({ (1...Self.largest).contains($0) }),
            (pads ?? []).allSatisfy({ (0...Self.largest).contains($0) })
        else {
            throw TensorError("group, strides, dilations and pads should be positive, and at most \(Self.largest)")
        }
    }

    /// The extents of one convolution.
    struct Geometry {
        var kernel: [Int]
        var strides: [Int]
        var dilations: [Int]
        var padsBefore: [Int] = []
        var input: [Int]
        var output: [Int] = []
    }

    /// - Parameters:
    ///   - x: [batch, channels, extents…].
    ///   - w: [output channels, channels / group, kernel extents…].
    /// - Throws: ``TensorError`` where they don't fit.
    func geometry(_ x: Shape, _ w: Shape) throws -> Geometry {
        let rank = x.rank - 2
        guard rank >= 1, w.rank == x.rank, w[1] <= Self.largest, w[1] * group == x[1], w[0] % group == 0,
            (x.dimensions + w.dimensions).allSatisfy({ $0 <= Self.largest })
        else {
            throw TensorError("an input of shape \(x) and a weight of shape \(w) in \(group) groups don't fit")
        }
        let kernel = Array(w.dimensions[2...])
        var result = Geometry(
            kernel: kernel, strides: strides ?? Array(repeating: 1, count: rank),
            dilations: dilations ?? Array(repeating: 1, count: rank), input: Array(x.dimensions[2...]))
        let given = pads ?? Array(repeating: 0, count: 2 * rank)
        guard result.strides.count == rank, result.dilations.count == rank, given.count == 2 * rank,
            kernelShape ?? kernel == kernel
        else { throw TensorError("attributes of the convolution don't fit its weight of shape \(w)") }
        for axis in 0..<rank {
            let span = (kernel[axis] - 1) * result.dilations[axis] + 1
            let extent = result.input[axis]
            if autoPad.hasPrefix("SAME") {
                let count = (extent + result.strides[axis] - 1) / result.strides[axis]
                let total = max((count - 1) * result.strides[axis] + span - extent, 0)
                result.padsBefore.append(autoPad == "SAME_UPPER" ? total / 2 : total - total / 2)
                result.output.append(count)
            } else {
                let (before, after) = autoPad == "VALID" ? (0, 0) : (given[axis], given[axis + rank])
                let reach = extent + before + after - span
                guard reach >= 0 else { throw TensorError("the kernel of \(w) is larger than the padded input of \(x)") }
                result.padsBefore.append(before)
                result.output.append(reach / result.strides[axis] + 1)
            }
        }
        return result
    }

    func outputShape(_ x: Shape, _ w: Shape) throws -> Shape { try Shape([x[0], w[0]] + geometry(x, w).output) }

    /// The convolution of (x - its zero point) with (w - its zero point), in int32.
    ///
    /// - Parameters:
    ///   - xZero: one number; nil for 0. Padding stands for it.
    ///   - wZero: one number, or one for each output channel; nil for 0.
    /// - Throws: ``TensorError`` where types or shapes don't fit.
    func callAsFunction(_ x: Tensor, xZero: Tensor?, _ w: Tensor, wZero: Tensor?, threads: ThreadPool) throws -> Tensor {
        let geometry = try geometry(x.shape, w.shape)
        let input = try centred(x, zero: xZero, axis: 1, threads: threads)
        let weight = try centred(w, zero: wZero, axis: 0, threads: threads)
        let result = try MutableTensor(dtype: .int32, shape: Shape([x.shape[0], w.shape[0]] + geometry.output))
        let channels = w.shape[1]
        let m = w.shape[0] / group
        let k = channels * geometry.kernel.reduce(1, *)
        let n = geometry.output.reduce(1, *)
        let plane = geometry.input.reduce(1, *)
        let (size, overflow) = k.multipliedReportingOverflow(by: n)
        guard !overflow, size <= 1 << 34 else {
            throw TensorError("the convolution of \(x.shape) with \(w.shape) is too large")
        }
        var columns = [Int32](repeating: 0, count: size)
        for batch in 0..<x.shape[0] {
            for part in 0..<group {
                let first = (batch * group + part) * channels * plane
                gather(input[first..<first + channels * plane], geometry, into: &columns)
                let start = (batch * group + part) * m * n
                try multiplyIntegers(
                    weight, from: part * m * k, columns, into: result, at: start, m: m, k: k, n: n, threads: threads)
            }
        }
        return result.tensor
    }

    /// Lays out for each output position (column) the inputs that its kernel covers (rows).
    private func gather(_ input: ArraySlice<Int32>, _ geometry: Geometry, into columns: inout [Int32]) {
        let rank = geometry.input.count
        let taps = geometry.kernel.reduce(1, *)
        let plane = geometry.input.reduce(1, *)
        let n = geometry.output.reduce(1, *)
        for row in 0..<(n == 0 ? 0 : columns.count / n) {
            let base = input.startIndex + row / taps * plane
            for column in 0..<n {
                var (tap, position, offset, step, isInside) = (row % taps, column, 0, 1, true)
                for axis in (0..<rank).reversed() {
                    let at =
                        position % geometry.output[axis] * geometry.strides[axis] - geometry.padsBefore[axis]
                        + tap % geometry.kernel[axis] * geometry.dilations[axis]
                    if at < 0 || at >= geometry.input[axis] { isInside = false }
                    offset += at * step
                    step *= geometry.input[axis]
                    position /= geometry.output[axis]
                    tap /= geometry.kernel[axis]
                }
                columns[row * n + column] = isInside ? input[base + offset] : 0
            }
        }
    }
}

/// ConvInteger-10.
struct ConvInteger: Operator {
    let convolution: IntegerConvolution

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let x = try inputs[0].shape, let w = try inputs[1].shape else { return [Fact(dtype: .int32)] }
        return [Fact(dtype: .int32, shape: try convolution.outputShape(x, w))]
    }

    func run(_ context: inout RunContext) throws {
        let result = try convolution(
            context.input(0), xZero: context.optionalInput(2), context.input(1), wZero: context.optionalInput(3),
            threads: context.threads)
        try context.output(0).copy(from: result)
    }

    static let definition = OperatorDefinition("ConvInteger", since: 10) { decoder in
        try decoder.requireInputs(2...4)
        return ConvInteger(convolution: try IntegerConvolution(&decoder))
    }
}

/// QLinearConv-10.
struct QLinearConv: Operator {
    let convolution: IntegerConvolution

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[7].dtype
        guard let x = try inputs[0].shape, let w = try inputs[3].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try convolution.outputShape(x, w))]
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        var sums = try convolution(
            context.input(0), xZero: context.input(2), context.input(3), wZero: context.input(5), threads: threads)
        if let bias = try context.optionalInput(8) {
            let shape = try Shape([bias.count] + Array(repeating: 1, count: sums.shape.rank - 2))
            let biased = try MutableTensor(dtype: .int32, shape: sums.shape)
            try arithmetic(.add, sums, bias.reshaped(to: shape), into: biased, threads: threads)
            sums = biased.tensor
        }
        let factors = try requantizationFactors(context.input(1), context.input(4), context.input(6), threads: threads)
        try requantize(
            sums, factors: factors, axis: 1, zero: context.input(7), into: context.output(0), threads: threads)
    }

    static let definition = OperatorDefinition("QLinearConv", since: 10) { decoder in
        try decoder.requireInputs(8...9)
        return QLinearConv(convolution: try IntegerConvolution(&decoder))
    }
}
