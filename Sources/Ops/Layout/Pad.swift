import GraphRuntime

/// ONNX Pad (1 to 25).
struct Pad: Operator {
    var mode: PadMode
    /// The pads as an attribute (before opset 11), all beginnings, then all ends; nil where they are input 1.
    var pads: [Int]?
    /// The constant as an attribute (before opset 11); later it is input 2.
    var constant: Float = 0

    /// Pads before and after each axis.
    static func pads(_ pads: [Int], axes: [Int]?, shape: Shape) throws(TensorError) -> [(before: Int, after: Int)] {
        let axes = try shape.distinctAxes(axes ?? Array(0..<shape.rank))
        guard pads.count == 2 * axes.count else {
            throw TensorError("\(axes.count) axes of \(shape) need \(2 * axes.count) pads, found \(pads.count)")
        }
        var result = [(before: Int, after: Int)](repeating: (0, 0), count: shape.rank)
        for (index, axis) in axes.enumerated() { result[axis] = (pads[index], pads[index + axes.count]) }
        return result
    }

    /// The shape of the output, nil where it isn't known yet, and the pads of each axis.
    private func plan(_ inputs: InferenceInputs) throws -> (Shape, [(before: Int, after: Int)])? {
        guard let shape = try inputs[0].shape, let given = try pads ?? inputs.integers(1),
            let axes = try inputs.optionalIntegers(3)
        else { return nil }
        let pads = try Self.pads(given, axes: axes, shape: shape)
        let extents = zip(shape.dimensions, pads).map { saturatingAdd(saturatingAdd($1.before, $0), $1.after) }
        return (try Shape(extents), pads)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try plan(inputs)?.0)]
    }

    private func fill(_ context: RunContext, dtype: DType) throws -> Tensor {
        guard pads != nil else {
            let given = try context.optionalInput(2)
            guard given?.count ?? 1 == 1 else {
                throw TensorError("the constant should be one element, found \(given?.count ?? 0)")
            }
            return try given ?? Tensor.zero(dtype)
        }
        let value = try Tensor(scalar: constant)
        switch dtype {
        case .float32: return value
        case .float64: return try Tensor(scalar: Double(constant))
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: .scalar)
            try HalfPrecision.narrow(value, into: result)
            return result.tensor
        default: throw TensorError("expected a floating-point tensor, found \(dtype)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        guard let (shape, pads) = try plan(context.inferenceInputs) else { throw TensorError("the pads are missing") }
        let fill = try fill(context, dtype: data.dtype)
        try context.pad(data, by: pads, mode: mode, fill: fill, shape: shape)
    }
}

extension RunContext {
    /// Pads a tensor into output 0.
    ///
    /// - Parameters:
    ///   - pads: elements before and after each axis; negative ones crop.
    ///   - fill: the constant of the mode that takes one.
    ///   - shape: the output's.
    mutating func pad(_ data: Tensor, by pads: [(before: Int, after: Int)], mode: PadMode, fill: Tensor, shape: Shape) throws {
        let threads = threads
        var axes: [PaddedAxis] = []
        // Nothing is read or written where another axis is empty.
        if shape.count > 0 {
            axes = try zip(data.shape.dimensions, pads).map {
                try PaddedAxis($0, before: $1.before, after: $1.after, mode: mode)
            }
        }
        try moveElements(of: [data, fill], into: 0, shape: shape) { units in
            guard shape.count > 0 else { return }
            try units.pad(shape: data.shape, axes: axes, fill: 1, threads: threads)
        }
    }
}

extension Pad {
    private static func mode(_ decoder: inout NodeDecoder) throws -> PadMode {
        let name = try decoder.string("mode", default: "constant")
        guard let mode = PadMode(rawValue: name), mode != .wrap || decoder.version >= 19 else {
            throw TensorError("the mode \"\(name)\" isn't supported")
        }
        return mode
    }

    static let definitions =
        OperatorDefinition.all("Pad", since: [1, 2]) { decoder in
            try decoder.requireInputs(1...1)
            let name = decoder.version == 1 ? "paddings" : "pads"
            guard let pads = try decoder.optionalInts(name) else { throw TensorError("attribute \(name) is missing") }
            return Pad(mode: try mode(&decoder), pads: pads, constant: try decoder.float("value", default: 0))
        }
        + OperatorDefinition.all("Pad", since: [11, 13]) { decoder in
            try decoder.requireInputs(2...3)
            return Pad(mode: try mode(&decoder))
        }
        + OperatorDefinition.all("Pad", since: [18, 19, 21, 23, 24, 25]) { decoder in
            try decoder.requireInputs(2...4)
            return Pad(mode: try mode(&decoder))
        }
}
