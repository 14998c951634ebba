import GraphRuntime

/// ONNX NonZero (9 to 13): the indices of the elements that aren't zero, an axis a row.
struct NonZeroIndices: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        _ = try inputs[0]
        return [Fact(dtype: .int64)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let places = try Self.places(data)
        // A scalar counts as a tensor of one axis.
        let shape = data.shape.rank == 0 ? try Shape([1]) : data.shape
        let strides = shape.strides
        let output = try MutableTensor(dtype: .int64, shape: Shape([shape.rank, places.count]))
        try output.withMutableSpan(of: Int64.self) { indices in
            for axis in 0..<shape.rank {
                for (column, place) in places.enumerated() {
                    indices[axis * places.count + column] = Int64(place / strides[axis] % shape[axis])
                }
            }
        }
        context.setOutput(0, .tensor(output.tensor))
    }

    /// Positions of the elements that aren't zero; a negative zero is one, a NaN isn't.
    static func places(_ tensor: Tensor) throws -> [Int] {
        if let strings = tensor.strings { return strings.indices.filter { !strings[$0].isEmpty } }
        let isFloat = tensor.dtype.isFloatingPoint
        func places<Unit: FixedWidthInteger & TensorBits>(_ unit: Unit.Type) throws -> [Int] {
            let mask = isFloat ? ~(1 << (Unit.bitWidth - 1)) : Unit.max
            let elements = try tensor.view(ofBits: unit)
            return elements.indices.filter { elements[$0] & mask != 0 }
        }
        switch tensor.dtype.bitWidth {
        case 8: return try places(UInt8.self)
        case 16: return try places(UInt16.self)
        case 32: return try places(UInt32.self)
        case 64 where tensor.dtype != .complex64: return try places(UInt64.self)
        default: throw TensorError("NonZero of \(tensor.dtype) isn't supported")
        }
    }
}

extension NonZeroIndices {
    static let definitions = OperatorDefinition.all("NonZero", since: [9, 13]) { decoder in
        try decoder.requireInputs(1...1)
        return NonZeroIndices()
    }
}
