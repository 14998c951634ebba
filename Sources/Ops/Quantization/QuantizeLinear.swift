import GraphRuntime

/// y = saturate(round(x / scale) + zero point), halves to even, and the least number of y's type for NaN; for 8- and 4-bit floats the
/// nearest of them to x / scale.
///
/// - Parameters:
///   - zero: of y's type and the scale's shape; nil for 0.
///   - saturate: for float8 alone, see ``CastRounding``.
///   - precision: what x, the scale and their quotient are rounded to: float32, float16 or bfloat16.
/// - Throws: ``TensorError`` where the scale's shape doesn't fit x.
func quantize(
    _ x: Tensor, scale: Tensor, zero: Tensor?, axis: Int, blockSize: Int, saturate: Bool, precision: DType = .float32,
    into y: MutableTensor, threads: ThreadPool
) throws {
    if let zero, zero.shape.count != scale.shape.count {
        throw TensorError("the zero point's shape \(zero.shape) differs from the scale's, \(scale.shape)")
    }
    let layout = try QuantizationLayout(x.shape, scale: scale.shape, axis: axis, blockSize: blockSize)
    if x.dtype == .float32, precision == .float32, [.int8, .uint8, .int16, .uint16].contains(y.dtype),
        let runs = try runs(layout, scale, zero, of: y.dtype)
    {
        return try ByteQuantization.quantize(x, runs, into: y, threads: threads)
    }
    func numbers(_ tensor: Tensor) throws -> TensorView<Float> {
        try cast(cast(tensor, to: precision, threads: threads), to: .float32, threads: threads).view(of: Float.self)
    }
    let (values, scales) = (try numbers(x), try numbers(scale))
    // Single precision has more than twice the digits, so that to round twice is to round once.
    let rounded: (Float) -> Float =
        switch precision {
        case .float16: { Float(Float16($0)) }
        case .bfloat16: { BFloat16($0).float }
        default: { $0 }
        }
    let zeros = try zero.map { try cast($0, to: .float32, threads: threads).array(of: Float.self) }
    let range = y.dtype.quantizedRange
    let result = try MutableTensor(dtype: .float32, shape: x.shape)
    try result.withMutableSpan(of: Float.self) { output in
        for number in 0..<layout.runCount {
            let run = layout.run(number)
            for index in 0..<run.count {
                let (place, scale) = (run.start + index, run.hasScaleEach ? run.scale + index : run.scale)
                let quotient = rounded(values[place] / scales[scale])
                let offset = zeros?[scale] ?? 0
                guard let range else {
                    output[place] = quotient + offset
                    continue
                }
                let level = Double(quotient.rounded(.toNearestOrEven)) + Double(offset)
                output[place] = Float(level >= range.least ? min(level, range.largest) : range.least)
            }
        }
    }
    try cast(result.finish(), into: y, rounding: CastRounding(saturate: saturate), threads: threads)
}

/// The scales of all elements; nil where they aren't of single precision, or the zero point isn't of the integers' type.
private func runs(
    _ layout: QuantizationLayout, _ scale: Tensor, _ zero: Tensor?, of dtype: DType
) throws -> ByteQuantization.Runs? {
    guard scale.dtype == .float32, zero == nil || zero?.dtype == dtype else { return nil }
    let zeros = try zero?.wholeNumbers().map { Int32($0) }
    return try ByteQuantization.Runs(layout, scales: try scale.array(of: Float.self), zeros: zeros)
}

/// y = (x - zero point) * scale.
///
/// - Parameter zero: of x's type and the scale's shape; nil for 0.
/// - Throws: ``TensorError`` where the scale's shape doesn't fit x.
func dequantize(
    _ x: Tensor, scale: Tensor, zero: Tensor?, axis: Int, blockSize: Int, into y: MutableTensor, threads: ThreadPool
) throws {
    if let zero, zero.shape.count != scale.shape.count {
        throw TensorError("the zero point's shape \(zero.shape) differs from the scale's, \(scale.shape)")
    }
    let layout = try QuantizationLayout(x.shape, scale: scale.shape, axis: axis, blockSize: blockSize)
    // Numbers of fewer bits fit bytes.
    let dtype: DType =
        switch x.dtype {
        case .int4, .int2: .int8
        case .uint4, .uint2: .uint8
        default: x.dtype
        }
    if [.int8, .uint8, .int16, .uint16, .int32].contains(dtype), y.dtype == .float32, zero == nil || zero?.dtype == x.dtype,
        let runs = try runs(layout, scale, zero.map { try cast($0, to: dtype, threads: threads) }, of: dtype)
    {
        return try ByteQuantization.dequantize(cast(x, to: dtype, threads: threads), runs, into: y, threads: threads)
    }
    // Differences of int32 are exact in double precision.
    let input = try cast(x, to: .float64, threads: threads)
    let values = try input.view(of: Double.self)
    let scales = try cast(scale, to: .float32, threads: threads).array(of: Float.self)
    let zeros = try zero.map { try cast($0, to: .float64, threads: threads).array(of: Double.self) }
    let result = y.dtype == .float32 ? y : try MutableTensor(dtype: .float32, shape: x.shape)
    try result.withMutableSpan(of: Float.self) { output in
        for number in 0..<layout.runCount {
            let run = layout.run(number)
            for index in 0..<run.count {
                let (place, scale) = (run.start + index, run.hasScaleEach ? run.scale + index : run.scale)
                output[place] = Float(values[place] - (zeros?[scale] ?? 0)) * scales[scale]
            }
        }
    }
    if y.dtype != .float32 { try cast(result.finish(), into: y, threads: threads) }
}

/// QuantizeLinear-10 to -25.
struct QuantizeLinear: Operator {
    let axis: Int
    let blockSize: Int
    let saturate: Bool
    /// Nil for the zero point's type, or uint8 without one.
    let outputType: DType?
    /// What quotients are rounded to; nil for the type of x and the scale, and for float32 where they differ, as ONNX's reference has it.
    let precision: DType?

    /// Bytes show whether quotients were rounded.
    var takesRoundedHalves: Bool { precision == nil }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = inputs.optional(2)?.dtype ?? outputType ?? (inputs.optional(2) == nil ? .uint8 : nil)
        return [Fact(dtype: dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (x, scale) = (try context.input(0), try context.input(1))
        let halves = x.dtype == scale.dtype && (x.dtype == .float16 || x.dtype == .bfloat16)
        try quantize(
            x, scale: scale, zero: context.optionalInput(2), axis: axis, blockSize: blockSize, saturate: saturate,
            precision: precision ?? (halves ? x.dtype : .float32), into: context.output(0), threads: context.threads)
    }

    /// Of com.microsoft: the standard's form with an axis and no other attribute, which ONNX Runtime writes for 16 and 4 bits below
    /// opset 21.
    static let runtimeDefinition = OperatorDefinition("QuantizeLinear", domain: "com.microsoft", since: 1) { decoder in
        try decoder.requireInputs(2...3)
        return QuantizeLinear(
            axis: try decoder.int("axis", default: 1), blockSize: 0, saturate: true, outputType: nil, precision: .float32)
    }

    /// Up to opset 21 nothing is said of the quotient's type, and ONNX Runtime divides in single precision.
    static let definitions = [
        OperatorDefinition("QuantizeLinear", since: 10) { decoder in
            try QuantizeLinear(&decoder, precision: .float32)
        },
        OperatorDefinition("QuantizeLinear", since: 23) { decoder in
            let number = try decoder.int("precision", default: 0)
            let precision = number == 0 ? nil : try decoder.optionalDType("precision")
            if let precision, ![.float32, .float16, .bfloat16].contains(precision) {
                throw TensorError("attribute precision should be float32, float16 or bfloat16, found \(precision)")
            }
            return try QuantizeLinear(&decoder, precision: precision)
        },
    ]

    private init(_ decoder: inout NodeDecoder, precision: DType?) throws {
        try decoder.requireInputs(2...3)
        let number = try decoder.int("output_dtype", default: 0)
        self.init(
            axis: try decoder.int("axis", default: 1), blockSize: try decoder.int("block_size", default: 0),
            saturate: try decoder.bool("saturate", default: true),
            outputType: number == 0 ? nil : try decoder.optionalDType("output_dtype"), precision: precision)
    }

    private init(axis: Int, blockSize: Int, saturate: Bool, outputType: DType?, precision: DType?) {
        (self.axis, self.blockSize, self.saturate) = (axis, blockSize, saturate)
        (self.outputType, self.precision) = (outputType, precision)
    }
}

/// DequantizeLinear-10 to -25.
struct DequantizeLinear: Operator {
    let axis: Int
    let blockSize: Int
    /// Nil for the scale's type.
    let outputType: DType?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try outputType ?? inputs[1].dtype, shape: try inputs[0].shape)]
    }

    /// Weights of few bits, and biases of 32 bits, which products and convolutions take as they are.
    func isFoldedLate(inputs: [Fact?]) -> Bool {
        guard let shape = inputs.first??.shape else { return false }
        switch inputs.first??.dtype {
        case .int8?, .uint8?: return shape.rank >= 2
        case .int4?, .uint4?, .int2?, .uint2?: return shape.rank == 2
        case .int32?: return shape.rank == 1 && blockSize == 0
        default: return false
        }
    }

    func run(_ context: inout RunContext) throws {
        try dequantize(
            context.input(0), scale: context.input(1), zero: context.optionalInput(2), axis: axis, blockSize: blockSize,
            into: context.output(0), threads: context.threads)
    }

    /// See ``QuantizeLinear/runtimeDefinition``.
    static let runtimeDefinition = OperatorDefinition("DequantizeLinear", domain: "com.microsoft", since: 1) { decoder in
        try decoder.requireInputs(2...3)
        return DequantizeLinear(axis: try decoder.int("axis", default: 1), blockSize: 0, outputType: nil)
    }

    static let definition = OperatorDefinition("DequantizeLinear", since: 10) { decoder in
        try decoder.requireInputs(2...3)
        let number = try decoder.int("output_dtype", default: 0)
        return DequantizeLinear(
            axis: try decoder.int("axis", default: 1), blockSize: try decoder.int("block_size", default: 0),
            outputType: number == 0 ? nil : try decoder.optionalDType("output_dtype"))
    }
}

/// DynamicQuantizeLinear-11: to uint8 with the scale and zero point that fit the input's range, 0 included.
struct DynamicQuantizeLinear: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [
            Fact(dtype: .uint8, shape: try inputs[0].shape), Fact(dtype: .float32, shape: .scalar),
            Fact(dtype: .uint8, shape: .scalar),
        ]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let (least, largest) = try ByteQuantization.range(x, threads: context.threads)
        // What isn't a number has no part in the range; of zeros alone, any scale will do. ONNX Runtime takes 1, and 255 as the zero
        // point of a range whose quotient is NaN.
        let scale = largest == least ? 1 : (largest - least) / 255
        let level = (-least / scale).rounded(.toNearestOrEven)
        let zero = level < 255 ? UInt8(max(level, 0)) : 255
        let scaleTensor = try Tensor(scalar: scale)
        let zeroTensor = try Tensor(scalar: zero)
        if let output = context.optionalOutput(0) {
            try quantize(
                x, scale: scaleTensor, zero: zeroTensor, axis: 0, blockSize: 0, saturate: true, into: output,
                threads: context.threads)
        }
        try context.optionalOutput(1)?.copy(from: scaleTensor)
        try context.optionalOutput(2)?.copy(from: zeroTensor)
    }

    static let definition = OperatorDefinition("DynamicQuantizeLinear", since: 11) { decoder in
        try decoder.requireInputs(1...1)
        return DynamicQuantizeLinear()
    }
}
