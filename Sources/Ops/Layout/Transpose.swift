import GraphRuntime

extension ElementUnits {
    /// Writes the elements of the source with its axes in the order `permutation`.
    ///
    /// - Parameter shape: the source's; the target is row-major with the permuted extents.
    func transpose(_ shape: Shape, permutation: [Int], threads: ThreadPool) throws(TensorError) {
        let extents = permutation.map { shape[$0] }
        let strides = shape.strides
        let copy = StridedCopy(
            extents: extents, sourceStrides: permutation.map { strides[$0] }, targetStrides: try Shape(extents).strides)
        try run(copy, threads: threads)
    }
}

/// ONNX Transpose (1 to 25).
struct Transpose: Operator {
    /// The input axis that each output axis is; nil reverses all.
    var permutation: [Int]?

    /// The permutation for a rank.
    ///
    /// - Throws: ``TensorError`` where it isn't one of `rank` axes.
    func axes(rank: Int) throws(TensorError) -> [Int] {
        guard let permutation else { return Array((0..<rank).reversed()) }
        guard permutation.count == rank, permutation.sorted() == Array(0..<rank) else {
            throw TensorError("perm \(permutation) is no permutation of \(rank) axes")
        }
        return permutation
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try Shape(axes(rank: shape.rank).map { shape[$0] }))]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let axes = try axes(rank: data.shape.rank)
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: Shape(axes.map { data.shape[$0] })) { units in
            try units.transpose(data.shape, permutation: axes, threads: threads)
        }
    }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? {
        guard let shape = inputs.first??.shape, let axes = try? axes(rank: shape.rank) else { return nil }
        return axes == axes.sorted() && Self.isUnchanged(0, inputs, outputs) ? 0 : nil
    }

    /// Elements stay in their order where only axes of extent 1 change places.
    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard let shape = inputs.first??.shape else { return self }
        let moving = try axes(rank: shape.rank).filter { shape[$0] != 1 }
        return moving == moving.sorted() || shape.count == 0 ? TransposeView(transpose: self) : self
    }
}

/// A ``Transpose`` that moves nothing in memory.
struct TransposeView: ViewOperator {
    var transpose: Transpose

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { try transpose.inferOutputs(inputs) }
}

extension Transpose {
    static let definitions = OperatorDefinition.all("Transpose", since: [1, 13, 21, 23, 24, 25]) { decoder in
        try decoder.requireInputs(1...1)
        return Transpose(permutation: try decoder.optionalInts("perm"))
    }
}
