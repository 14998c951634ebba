import GraphRuntime

/// ONNX Loop (1 to 25): runs a graph while a condition holds and up to a number of times; values are carried from one turn to the
/// next, and further results of all turns are stacked.
struct Loop: Operator {
    /// Inputs: the turn, the condition, carried values; outputs: the condition, carried values, results to stack.
    var body: Subgraph
    var carriedCount: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { Array(repeating: .unknown, count: inputs.outputCount) }

    func run(_ context: inout RunContext) throws {
        let limit = try context.optionalInput(0)?.integer("the trip count")
        var condition = try context.optionalInput(1).map(Self.isTrue) ?? true
        let start = try context.inputs.dropFirst(2).map { value -> Value in
            guard let value else { throw TensorError("a carried value is missing") }
            return value
        }
        var stacked = [[Tensor]](repeating: [], count: body.graph.outputs.count - 1 - carriedCount)
        let shapes = (turn: try declaredShape(of: 0), condition: try declaredShape(of: 1))
        var turn = -1
        let carried = try context.run(
            body, carrying: CarriedValues(count: carriedCount, input: 2, output: 1), values: start
        ) { results in
            turn += 1
            if turn > 0 {
                condition = try Self.isTrue(results[0].asTensor())
                for index in stacked.indices { stacked[index].append(try results[1 + index].asTensor()) }
            }
            guard condition, turn < limit ?? Int.max else { return nil }
            return [
                .tensor(try Tensor(scalar: Int64(turn)).reshaped(to: shapes.turn)),
                .tensor(try Tensor(scalar: condition).reshaped(to: shapes.condition)),
            ]
        }
        for (index, value) in carried.enumerated() { context.setOutput(index, value) }
        if stacked.isEmpty { return }
        let slices = turn > 0 ? nil : context.inferOutputs(body, inputs: try facts(ofTurn: start))
        for (index, tensors) in stacked.enumerated() {
            let slice = slices?[1 + carriedCount + index] ?? .unknown
            context.setOutput(
                carriedCount + index, .tensor(try Self.stack(tensors, axis: 0, slice: slice, threads: context.threads)))
        }
    }

    /// The turn and the condition may be declared as tensors of one axis.
    private func declaredShape(of input: Int) throws(TensorError) -> Shape {
        guard case .tensor(_, let dimensions?)? = body.graph.values[body.graph.inputs[input]].type else { return .scalar }
        return dimensions.count == 1 ? try Shape([1]) : .scalar
    }

    /// What is known of the body's inputs.
    private func facts(ofTurn carried: [Value]) throws -> [Fact] {
        [Fact(dtype: .int64, shape: try declaredShape(of: 0)), Fact(dtype: .bool, shape: try declaredShape(of: 1))]
            + carried.map { Fact($0).withoutValue }
    }

    private static func isTrue(_ tensor: Tensor) throws -> Bool {
        guard tensor.dtype == .bool, tensor.count == 1 else {
            throw TensorError("expected one condition, found \(tensor.dtype)\(tensor.shape)")
        }
        return try tensor.view(of: Bool.self)[0]
    }

    /// Tensors of one shape along a new axis.
    ///
    /// - Parameter slice: what each would be, where there are none.
    static func stack(_ tensors: [Tensor], axis: Int, slice: Fact, threads: ThreadPool) throws -> Tensor {
        if let first = tensors.first {
            guard axis >= -first.shape.rank - 1, axis <= first.shape.rank else {
                throw TensorError("axis \(axis) is outside of the \(first.shape.rank + 1) axes of the output")
            }
            let place = axis < 0 ? axis + first.shape.rank + 1 : axis
            var extents = first.shape.dimensions
            extents.insert(1, at: place)
            for tensor in tensors where tensor.shape != first.shape {
                throw TensorError("results of shapes \(first.shape) and \(tensor.shape) can't be stacked")
            }
            let shape = try Shape(extents)
            return try concatenated(tensors.map { try $0.reshaped(to: shape) }, axis: place, threads: threads)
        }
        guard let dtype = slice.dtype else {
            throw TensorError(
                "a loop without a turn has a result whose type neither its body's operators nor a declaration tell")
        }
        var extents = slice.shape?.dimensions ?? []
        let place = axis < 0 ? axis + extents.count + 1 : axis
        guard (0...extents.count).contains(place) else {
            throw TensorError("axis \(axis) is outside of the \(extents.count + 1) axes of the output")
        }
        extents.insert(0, at: place)
        let shape = try Shape(extents)
        if dtype == .string { return try Tensor(strings: [], shape: shape) }
        return try MutableTensor(dtype: dtype, shape: shape).tensor
    }
}

/// A new tensor of tensors along an axis.
func concatenated(_ tensors: [Tensor], axis: Int, threads: ThreadPool) throws -> Tensor {
    let shapes = tensors.map(\.shape)
    let shape = try Concat.shape(shapes, axis: axis)
    let axis = try shape.axis(axis)
    return try RunContext.newTensor(of: tensors, shape: shape) { units in
        try units.concatenate(shapes, axis: axis, threads: threads)
    }
}

extension Loop {
    static let definitions = OperatorDefinition.all("Loop", since: [1, 11, 13, 16, 19, 21, 23, 24, 25]) { decoder in
        let body = try decoder.subgraph("body")
        let carried = decoder.inputCount - 2
        guard carried >= 0, body.graph.inputs.count == carried + 2, body.graph.outputs.count >= carried + 1,
            decoder.outputCount <= body.graph.outputs.count - 1
        else {
            throw TensorError(
                "a body of \(body.graph.inputs.count) inputs and \(body.graph.outputs.count) outputs doesn't fit a node of \(decoder.inputCount) inputs and \(decoder.outputCount) outputs"
            )
        }
        return Loop(body: body, carriedCount: carried)
    }
}
