import GraphRuntime

/// ONNX DeformConv (19, 22): a convolution whose kernel's points are moved by offsets, read by linear interpolation between pixels
/// (zeros outside), and weighed by a mask (Dai et al., "Deformable Convolutional Networks", 2017; Zhu et al., "Deformable ConvNets
/// v2", 2018).
///
/// X [N, C, …spatial], W [M, C / group, …kernel], offset [N, offset groups · |kernel| · rank, …output], B [M], mask [N, offset groups ·
/// |kernel|, …output]; gives [N, M, …output].
struct DeformConv: Operator {
    let dilations: [Int]?
    let strides: [Int]?
    let pads: [Int]?
    let kernel: [Int]?
    let groups: Int
    let offsetGroups: Int

    var floatingPointTypes: Set<DType>? { DType.wideFloats }
    var kernelName: String? { "im2col" }

    struct Problem {
        let kernel: [Int]
        let strides: [Int]
        let dilations: [Int]
        let begin: [Int]
        let input: [Int]
        let output: [Int]
        let shape: Shape
        /// Points of the kernel.
        var points: Int { kernel.reduce(1, *) }
    }

    func problem(_ x: Shape, _ w: Shape, offset: Shape, bias: Shape?, mask: Shape?) throws -> Problem {
        let rank = x.rank - 2
        guard (1...8).contains(rank), w.rank == x.rank, offset.rank == x.rank, x[1] == (try checkedProduct(w[1], groups)),
            w[0] % groups == 0, x[1] % offsetGroups == 0
        else {
            throw TensorError("\(x), weights \(w) and offsets \(offset) don't fit \(groups) groups, \(offsetGroups) of offsets")
        }
        let size = Array(w.dimensions[2...])
        let (strides, dilations) = (strides ?? Array(repeating: 1, count: rank), dilations ?? Array(repeating: 1, count: rank))
        let pads = pads ?? Array(repeating: 0, count: 2 * rank)
        guard kernel == nil || kernel == size, strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
            size.allSatisfy({ $0 > 0 })
        else { throw TensorError("kernel_shape, strides, dilations and pads don't fit \(rank) axes of weights \(w)") }
        var output: [Int] = []
        for axis in 0..<rank {
            let padded = saturatingAdd(x[axis + 2], saturatingAdd(pads[axis], pads[axis + rank]))
            let reach = saturatingAdd(saturatingMultiply(size[axis] - 1, dilations[axis]), 1)
            output.append(padded < reach ? 0 : (padded - reach) / strides[axis] + 1)
        }
        let points = try checkedProduct(size.reduce(1, *), offsetGroups)
        let expected: [(String, Shape?, [Int])] = [
            ("the offsets", offset, [x[0], try checkedProduct(points, rank)] + output), ("the bias", bias, [w[0]]),
            ("the mask", mask, [x[0], points] + output),
        ]
        for (name, shape, wanted) in expected {
            if let shape, shape.dimensions != wanted {
                throw TensorError("\(name) should have shape \(wanted), found \(shape)")
            }
        }
        let shape = try Shape([x[0], w[0]] + output)
        try BLASLimits.check(shape.count(2..<shape.rank), w[0], try checkedProduct(w[1], size.reduce(1, *)))
        return Problem(
            kernel: size, strides: strides, dilations: dilations, begin: Array(pads[..<rank]),
            input: Array(x.dimensions[2...]), output: output, shape: shape)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<inputs.count)
        if let dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        guard let x = try inputs[0].shape, let w = try inputs[1].shape, let offset = try inputs[2].shape else {
            return [Fact(dtype: dtype)]
        }
        let problem = try problem(x, w, offset: offset, bias: inputs.optional(3)?.shape, mask: inputs.optional(4)?.shape)
        return [Fact(dtype: dtype, shape: problem.shape)]
    }

    func run(_ context: inout RunContext) throws {
        if try context.input(0).dtype == .float64 {
            try run(context, Double.self)
        } else {
            try run(context, Float.self)
        }
    }

    static let definitions = OperatorDefinition.all("DeformConv", since: [19, 22]) { decoder in
        try decoder.requireInputs(3...5)
        let (groups, offsetGroups) = (try decoder.int("group", default: 1), try decoder.int("offset_group", default: 1))
        let (strides, dilations) = (try decoder.optionalInts("strides"), try decoder.optionalInts("dilations"))
        let pads = try decoder.optionalInts("pads")
        // Bounds beyond which no tensor reaches keep the products of coordinates from overflowing.
        let positive = 1...1 << 31
        guard positive.contains(groups), positive.contains(offsetGroups),
            ((strides ?? []) + (dilations ?? [])).allSatisfy(positive.contains), (pads ?? []).allSatisfy((0...1 << 31).contains)
        else { throw TensorError("groups, strides and dilations should be positive, and pads not negative") }
        return DeformConv(
            dilations: dilations, strides: strides, pads: pads, kernel: try decoder.optionalInts("kernel_shape"),
            groups: groups, offsetGroups: offsetGroups)
    }
}
