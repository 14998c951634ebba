import GraphRuntime

/// ONNX NonZero (9 to 13): the indices of the elements that aren't zero, an axis a row.
struct NonZeroIndices: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        _ = try inputs[0]
        return [Fact(dtype: .int64)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let places = try Self.places(data, threads: context.threads)
        // A scalar counts as a tensor of one axis.
        let shape = data.shape.rank == 0 ? try Shape([1]) : data.shape
        let output = try MutableTensor(dtype: .int64, shape: Shape([shape.rank, places.count]))
        try output.withMutableSpan(of: Int64.self) { Self.write(places, of: shape, to: &$0) }
        context.setOutput(0, .tensor(output.tensor))
    }

    /// Writes the indices of the elements at ascending `places` of a row-major tensor, all along its first axis first.
    private static func write(_ places: [Int], of shape: Shape, to indices: inout MutableSpan<Int64>) {
        let columns = shape[shape.rank - 1]
        // Indices but the last are computed once for all elements of a row.
        var row = (start: 0, end: 0, indices: [Int64](repeating: 0, count: shape.rank - 1))
        for (number, place) in places.enumerated() {
            if place >= row.end {
                var rest = place / columns
                (row.start, row.end) = (rest * columns, (rest + 1) * columns)
                for axis in stride(from: shape.rank - 2, through: 0, by: -1) {
                    let quotient = rest / shape[axis]
                    (row.indices[axis], rest) = (Int64(rest - quotient * shape[axis]), quotient)
                }
            }
            for axis in 0..<shape.rank - 1 { indices[axis * places.count + number] = row.indices[axis] }
            indices[(shape.rank - 1) * places.count + number] = Int64(place - row.start)
        }
    }

    /// Positions of the elements that aren't zero; a negative zero is one, a NaN isn't.
    private static func places(_ tensor: Tensor, threads: ThreadPool) throws -> [Int] {
        if let strings = tensor.strings { return strings.indices.filter { !strings[$0].isEmpty } }
        let isFloat = tensor.dtype.isFloatingPoint
        func places<Unit: FixedWidthInteger & TensorBits>(_ unit: Unit.Type) throws -> [Int] {
            let mask = isFloat ? ~(1 << (Unit.bitWidth - 1)) : Unit.max
            let elements = try tensor.view(ofBits: unit)
            let size = 1 << 16
            let pieces = threads.map((elements.count + size - 1) / size) { piece in
                (piece * size..<min((piece + 1) * size, elements.count)).filter { elements[$0] & mask != 0 }
            }
            return pieces.flatMap { $0 }
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
