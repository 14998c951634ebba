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
        let dtype = try ElementMovement.type(of: sources)
        if dtype == .string {
            let strings = try StringMovement(of: sources, shape: shape)
            try move(strings.units)
            return setOutput(index, .tensor(try strings.moved()))
        }
        guard let output = optionalOutput(index) else { return }
        guard output.dtype == dtype, output.shape == shape else {
            throw TensorError("expected an output of \(dtype)\(shape), found \(output.dtype)\(output.shape)")
        }
        let movement = try ElementMovement(of: sources, into: output)
        try move(movement.units)
        try movement.finish()
    }

    /// A new tensor filled as by ``moveElements(of:into:shape:_:)``: for outputs whose shape only the run tells.
    static func newTensor(of sources: [Tensor], shape: Shape, _ move: (ElementUnits) throws -> Void) throws -> Tensor {
        let dtype = try ElementMovement.type(of: sources)
        if dtype == .string {
            let strings = try StringMovement(of: sources, shape: shape)
            try move(strings.units)
            return try strings.moved()
        }
        let output = try MutableTensor(dtype: dtype, shape: shape)
        let movement = try ElementMovement(of: sources, into: output)
        try move(movement.units)
        try movement.finish()
        return try output.finish()
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

/// Numbers on their way into an output. What surrounds the moving itself takes no closure, as it would be compiled for each.
private struct ElementMovement {
    /// To move between: of elements of less than a byte, a byte for each.
    let units: ElementUnits
    private let output: MutableTensor
    /// The bytes that are packed at the end, if they are.
    private let bytes: MutableTensor?

    init(of sources: [Tensor], into output: MutableTensor) throws {
        self.output = output
        guard output.dtype.bitWidth < 8 else {
            bytes = nil
            units = try ElementUnits(sources: sources, target: output)
            return
        }
        let bytes = try MutableTensor(dtype: .uint8, shape: output.shape)
        let unpacked = try sources.map { try Tensor(BitFields.unpack($0), shape: $0.shape) }
        units = try ElementUnits(sources: unpacked, target: bytes)
        self.bytes = bytes
    }

    /// - Throws: ``TensorError`` where the bytes weren't all written.
    func finish() throws {
        guard let bytes else { return }
        try BitFields.pack(try bytes.finish().array(of: UInt8.self), into: output)
    }

    /// The one type of all the tensors.
    static func type(of sources: [Tensor]) throws(TensorError) -> DType {
        guard let dtype = sources.first?.dtype else { throw TensorError("there is nothing to move") }
        for source in sources where source.dtype != dtype {
            throw TensorError("expected tensors of one element type, found \(dtype) and \(source.dtype)")
        }
        return dtype
    }
}

/// Strings that are moved as their numbers in a list.
private struct StringMovement {
    let units: ElementUnits
    private let numbers: MutableTensor
    private let strings: [String]

    init(of sources: [Tensor], shape: Shape) throws {
        guard shape.count <= 1 << 28 else { throw TensorError("no memory for strings of shape \(shape)") }
        var strings: [String] = []
        let sources = try sources.map { source -> Tensor in
            let first = Int64(strings.count)
            strings += source.strings ?? []
            return try Tensor((0..<Int64(source.count)).map { first + $0 }, shape: source.shape)
        }
        numbers = try MutableTensor(dtype: .int64, shape: shape)
        units = try ElementUnits(sources: sources, target: numbers)
        self.strings = strings
    }

    func moved() throws -> Tensor {
        try Tensor(strings: numbers.finish().array(of: Int64.self).map { strings[Int($0)] }, shape: numbers.shape)
    }
}
