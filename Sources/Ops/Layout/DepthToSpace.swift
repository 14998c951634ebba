import GraphRuntime

/// ONNX DepthToSpace (1 to 28): channels become blocks of pixels.
struct DepthToSpace: Operator {
    var blockSize: Int
    /// Whether the channel is the slow part of the depth ("CRD") rather than the fast one ("DCR").
    var isColumnRowDepth: Bool

    private func output(_ shape: Shape) throws -> Shape {
        guard shape.rank == 4, shape[1] % (try checkedProduct(blockSize, blockSize)) == 0 else {
            throw TensorError("\(shape) doesn't split into blocks of \(blockSize) × \(blockSize)")
        }
        return try Shape([
            shape[0], shape[1] / (blockSize * blockSize), checkedProduct(shape[2], blockSize),
            checkedProduct(shape[3], blockSize),
        ])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        return [Fact(dtype: data.dtype, shape: try data.shape.map { try output($0) })]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let output = try output(data.shape)
        let (b, s) = (blockSize, data.shape)
        let parts = isColumnRowDepth ? [s[0], output[1], b, b, s[2], s[3]] : [s[0], b, b, output[1], s[2], s[3]]
        let order = isColumnRowDepth ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
        let split = try Shape(parts)
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: output) { units in
            try units.transpose(split, permutation: order, threads: threads)
        }
    }
}

/// ONNX SpaceToDepth (1 to 28): blocks of pixels become channels.
struct SpaceToDepth: Operator {
    var blockSize: Int
    /// Whether the channel becomes the slow part of the depth ("CRD") rather than the fast one ("DCR").
    var isColumnRowDepth: Bool

    private func output(_ shape: Shape) throws -> Shape {
        guard shape.rank == 4, shape[2] % blockSize == 0, shape[3] % blockSize == 0 else {
            throw TensorError("\(shape) doesn't split into blocks of \(blockSize) × \(blockSize)")
        }
        let channels = try checkedProduct(checkedProduct(shape[1], blockSize), blockSize)
        return try Shape([shape[0], channels, shape[2] / blockSize, shape[3] / blockSize])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        return [Fact(dtype: data.dtype, shape: try data.shape.map { try output($0) })]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let output = try output(data.shape)
        let split = try Shape([data.shape[0], data.shape[1], output[2], blockSize, output[3], blockSize])
        let order = isColumnRowDepth ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: output) { units in
            try units.transpose(split, permutation: order, threads: threads)
        }
    }
}

extension DepthToSpace {
    static let definitions = OperatorDefinition.all("DepthToSpace", since: [1, 11, 13, 28]) { decoder in
        try decoder.requireInputs(1...1)
        return DepthToSpace(
            blockSize: try blockSize(&decoder), isColumnRowDepth: try isColumnRowDepth(&decoder, since: 11))
    }

    /// The attribute `mode`, which operators have from a version on.
    fileprivate static func isColumnRowDepth(_ decoder: inout NodeDecoder, since version: Int) throws -> Bool {
        let mode = decoder.version < version ? "DCR" : try decoder.string("mode", default: "DCR")
        guard mode == "DCR" || mode == "CRD" else { throw TensorError("the mode \"\(mode)\" isn't supported") }
        return mode == "CRD"
    }

    fileprivate static func blockSize(_ decoder: inout NodeDecoder) throws -> Int {
        let size = try decoder.requiredInt("blocksize")
        guard size > 0 else { throw TensorError("the blocksize is \(size)") }
        return size
    }
}

extension SpaceToDepth {
    static let definitions = OperatorDefinition.all("SpaceToDepth", since: [1, 13, 28]) { decoder in
        try decoder.requireInputs(1...1)
        return SpaceToDepth(
            blockSize: try DepthToSpace.blockSize(&decoder),
            isColumnRowDepth: try DepthToSpace.isColumnRowDepth(&decoder, since: 28))
    }
}
