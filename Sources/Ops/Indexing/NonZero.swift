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
        let (columns, last) = (shape[shape.rank - 1], shape.rank - 1)
        var start = 0
        while start < places.count {
            // Indices but the last are those of all elements of a row.
            var rest = places[start] / columns
            let row = rest * columns
            var end = start
            while end < places.count, places[end] < row + columns {
                indices[last * places.count + end] = Int64(places[end] - row)
                end += 1
            }
            for axis in stride(from: last - 1, through: 0, by: -1) {
                let quotient = rest / shape[axis]
                let index = Int64(rest - quotient * shape[axis])
                for number in start..<end { indices[axis * places.count + number] = index }
                rest = quotient
            }
            start = end
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
            let pieces = threads.map((elements.count + size - 1) / size) { piece -> [Int] in
                let range = piece * size..<min((piece + 1) * size, elements.count)
                // Each place is written, and kept or written over: whether an element is zero is nothing that a branch could foresee.
                var places = [Int](repeating: 0, count: range.count)
                var count = 0
                for place in range {
                    places[count] = place
                    count += elements[place] & mask != 0 ? 1 : 0
                }
                return Array(places[..<count])
            }
            return pieces.count == 1 ? pieces[0] : pieces.flatMap { $0 }
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
