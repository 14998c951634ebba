import GraphRuntime

/// SquaredDistance (org.example, 1): for each row of x, [N, D], the squared distance to a centre [D], divided by the attribute `scale`.
struct SquaredDistance: Operator {
    let scale: Float

    /// Half-precision inputs come widened to float32.
    var floatingPointTypes: Set<DType>? { [.float32] }

    /// Types and shapes, as far as they follow from the inputs'. It is asked before a run, with shapes that aren't known yet, too.
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (x, centre) = (try inputs[0], try inputs[1])
        guard let rows = x.shape, let width = centre.shape else { return [Fact(dtype: x.dtype)] }
        guard rows.rank == 2, width.dimensions == [rows[1]] else {
            throw TensorError("expected rows and a centre of as many elements, found \(rows) and \(width)")
        }
        return [Fact(dtype: x.dtype, shape: try Shape([rows[0]]))]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0).view(of: Float.self)
        let centre = try context.input(1).view(of: Float.self)
        try context.output(0).forEachSlice(of: Float.self, grain: 64, threads: context.threads) { rows, y in
            for row in rows {
                var sum: Float = 0
                for (column, value) in centre.enumerated() {
                    let difference = x[row * centre.count + column] - value
                    sum += difference * difference
                }
                y[row - rows.lowerBound] = sum / scale
            }
        }
    }

    /// The closure reads each attribute that the operator honours: a node with another one is refused when a model is loaded.
    static let definition = OperatorDefinition("SquaredDistance", domain: "org.example", since: 1) { decoder in
        try decoder.requireInputs(2...2)
        let scale = try decoder.float("scale", default: 1)
        guard scale > 0 else { throw TensorError("attribute scale should be more than 0, found \(scale)") }
        return SquaredDistance(scale: scale)
    }
}
