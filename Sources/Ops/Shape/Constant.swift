import GraphRuntime

/// Constant-1 to Constant-25: the tensor of one of its attributes.
struct Constant: Operator {
    let value: Tensor

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(.tensor(value))] }

    func run(_ context: inout RunContext) throws { context.setOutput(0, .tensor(value)) }

    static let definition = OperatorDefinition("Constant", since: 1) { decoder in
        try decoder.requireInputs(0...0)
        // A sparse one was made dense as it was read.
        if let value = try decoder.optionalTensor("value") ?? decoder.optionalTensor("sparse_value") {
            return Constant(value: value)
        }
        if let value = try decoder.optionalFloat("value_float") { return Constant(value: try Tensor(scalar: value)) }
        if let values = try decoder.optionalFloats("value_floats") { return Constant(value: try Tensor(values)) }
        if let value = try decoder.optionalInt("value_int") { return Constant(value: try Tensor(scalar: Int64(value))) }
        if let values = try decoder.optionalInts("value_ints") { return Constant(value: try Tensor(values.map { Int64($0) })) }
        if let value = try decoder.optionalString("value_string") {
            return Constant(value: try Tensor(strings: [value], shape: .scalar))
        }
        if let values = try decoder.optionalStrings("value_strings") {
            return Constant(value: try Tensor(strings: values, shape: Shape([values.count])))
        }
        throw TensorError(
            "one of the attributes value, sparse_value, value_float(s), value_int(s) and value_string(s) is needed")
    }
}

/// ConstantOfShape-9 to ConstantOfShape-25: a tensor of the shape that the input lists, filled with one value.
struct ConstantOfShape: Operator {
    /// One element.
    let value: Tensor

    /// Whether the value is 0 to the bit.
    var isZero: Bool { value.dtype != .string && value.bytes.allSatisfy { $0 == 0 } }

    /// Whether the value is a floating-point number that is neither infinite nor NaN.
    var isFinite: Bool { (try? HalfPrecision.widen(value).array(of: Float.self).first?.isFinite) == true }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let extents = try inputs.integers(0) else { return [Fact(dtype: value.dtype)] }
        return [Fact(dtype: value.dtype, shape: try Shape(extents))]
    }

    func run(_ context: inout RunContext) throws {
        if let string = value.strings?.first {
            let shape = try Shape(context.input(0).integers())
            return context.setOutput(
                0, .tensor(try Tensor(strings: Array(repeating: string, count: shape.count), shape: shape)))
        }
        let output = try context.output(0)
        switch value.dtype.bitWidth {
        case 4, 2:
            let (width, code) = (output.dtype.bitWidth, BitFields.unpack(value)[0])
            let byte = stride(from: 0, to: 8, by: width).reduce(UInt8(0)) { $0 | code << UInt8($1) }
            let used = output.count * width % 8
            try output.withMutableBytes { target in
                for index in 0..<target.count { target[index] = byte }
                // What no element has of the last byte stays 0.
                if used > 0 { target[target.count - 1] = byte & (1 << UInt8(used) - 1) }
            }
        case 8: try fill(output, UInt8.self, context.threads)
        case 16: try fill(output, UInt16.self, context.threads)
        case 32: try fill(output, UInt32.self, context.threads)
        case 64: try fill(output, UInt64.self, context.threads)
        default: try fill(output, SixteenBytes.self, context.threads)
        }
    }

    private func fill<Bits: TensorBits>(_ output: MutableTensor, _ type: Bits.Type, _ threads: ThreadPool) throws {
        let pattern = try value.view(ofBits: type)[0]
        try output.forEachSlice(ofBits: type, grain: BroadcastPlan.grain, threads: threads) { _, target in
            for index in 0..<target.count { target[index] = pattern }
        }
    }

    static let definition = OperatorDefinition("ConstantOfShape", since: 9) { decoder in
        try decoder.requireInputs(1...1)
        let value = try decoder.optionalTensor("value") ?? Tensor(scalar: Float(0))
        guard value.count == 1 else { throw TensorError("attribute value should have one element, found \(value.shape)") }
        return ConstantOfShape(value: value)
    }
}
