import GraphRuntime

extension RunContext {
    /// Calls `move` to fill output `index` from tensors of one type, whatever the type: elements of 4 bits are brought to bytes
    /// before and packed afterwards, and strings are moved as numbers that stand for them.
    ///
    /// - Parameters:
    ///   - sources: tensors of one element type.
    ///   - shape: the output's shape, as inferred.
    ///   - move: writes every element of the output.
    /// - Throws: ``TensorError`` where the types differ or there is no memory, and what `move` throws.
    mutating func moveElements(
        of sources: [Tensor], into index: Int, shape: Shape, _ move: (ElementUnits) throws -> Void
    ) throws {
        guard let dtype = sources.first?.dtype else { throw TensorError("there is nothing to move") }
        for source in sources where source.dtype != dtype {
            throw TensorError("expected tensors of one element type, found \(dtype) and \(source.dtype)")
        }
        if dtype == .string {
            return setOutput(index, .tensor(try Self.moveStrings(of: sources, shape: shape, move)))
        }
        guard let output = optionalOutput(index) else { return }
        guard output.dtype == dtype, output.shape == shape else {
            throw TensorError("expected an output of \(dtype)\(shape), found \(output.dtype)\(output.shape)")
        }
        try Self.move(sources, into: output, move)
    }

    /// A new tensor filled as by ``moveElements(of:into:shape:_:)``: for outputs whose shape only the run tells.
    static func newTensor(of sources: [Tensor], shape: Shape, _ move: (ElementUnits) throws -> Void) throws -> Tensor {
        guard let dtype = sources.first?.dtype else { throw TensorError("there is nothing to move") }
        if dtype == .string { return try moveStrings(of: sources, shape: shape, move) }
        let output = try MutableTensor(dtype: dtype, shape: shape)
        try Self.move(sources, into: output, move)
        return try output.finish()
    }

    private static func move(_ sources: [Tensor], into output: MutableTensor, _ move: (ElementUnits) throws -> Void) throws {
        if output.dtype.bitWidth < 8 {
            let bytes = try MutableTensor(dtype: .uint8, shape: output.shape)
            try Self.move(try sources.map { try Tensor(BitFields.unpack($0), shape: $0.shape) }, into: bytes, move)
            return try BitFields.pack(try bytes.finish().array(of: UInt8.self), into: output)
        }
        try move(ElementUnits(sources: sources, target: output))
    }

    private static func moveStrings(
        of sources: [Tensor], shape: Shape, _ move: (ElementUnits) throws -> Void
    ) throws -> Tensor {
        guard shape.count <= 1 << 28 else { throw TensorError("no memory for strings of shape \(shape)") }
        var strings: [String] = []
        let numbers = try sources.map { source -> Tensor in
            let first = Int64(strings.count)
            strings += source.strings ?? []
            return try Tensor((0..<Int64(source.count)).map { first + $0 }, shape: source.shape)
        }
        let moved = try MutableTensor(dtype: .int64, shape: shape)
        try self.move(numbers, into: moved, move)
        return try Tensor(strings: moved.finish().array(of: Int64.self).map { strings[Int($0)] }, shape: shape)
    }

    /// The elements of an integer input.
    ///
    /// - Throws: ``TensorError`` where it is missing or of another type.
    func integers(_ index: Int) throws(TensorError) -> [Int] { try input(index).integers() }

    /// The elements of an optional integer input, nil where it isn't given.
    func optionalIntegers(_ index: Int) throws(TensorError) -> [Int]? { try optionalInput(index)?.integers() }

    /// Facts of the inputs, with their values, as inference sees them just before a run.
    var inferenceInputs: InferenceInputs { InferenceInputs(inputs.map { $0.map { Fact($0) } }, outputCount: outputs.count) }
}

extension Tensor {
    /// One element of a type's default: zero, false, an empty string.
    static func zero(_ dtype: DType) throws -> Tensor {
        if dtype == .string { return try Tensor(strings: [""], shape: .scalar) }
        let result = try MutableTensor(dtype: dtype, shape: .scalar)
        try result.withMutableBytes { bytes in for index in 0..<bytes.count { bytes[index] = 0 } }
        return try result.finish()
    }
}
