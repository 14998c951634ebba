import GraphRuntime

/// Shape-1 to Shape-25: the extents of the axes start..<end of the input, as int64.
struct ShapeOf: Operator {
    let start: Int
    /// Nil for the rank.
    let end: Int?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: .int64)] }
        return [Fact(.tensor(try extents(of: shape)))]
    }

    func run(_ context: inout RunContext) throws {
        try context.output(0).copy(from: extents(of: context.input(0).shape))
    }

    /// Bounds count from the end where they are negative, and are brought into the rank.
    private func extents(of shape: Shape) throws -> Tensor {
        func bound(_ value: Int) -> Int { min(max(value < 0 ? value + shape.rank : value, 0), shape.rank) }
        let first = bound(start)
        let last = bound(end ?? shape.rank)
        return try Tensor(shape.dimensions[first..<max(first, last)].map { Int64($0) })
    }

    static let definition = OperatorDefinition("Shape", since: 1) { decoder in
        try decoder.requireInputs(1...1)
        return ShapeOf(start: try decoder.int("start", default: 0), end: try decoder.optionalInt("end"))
    }
}

/// Size-1 to Size-25: the number of elements of the input, an int64 scalar.
struct SizeOf: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: .int64, shape: .scalar)] }
        return [Fact(.tensor(try Tensor(scalar: Int64(shape.count))))]
    }

    func run(_ context: inout RunContext) throws {
        try context.output(0).copy(from: Tensor(scalar: Int64(context.input(0).count)))
    }

    static let definition = OperatorDefinition("Size", since: 1) { decoder in
        try decoder.requireInputs(1...1)
        return SizeOf()
    }
}
