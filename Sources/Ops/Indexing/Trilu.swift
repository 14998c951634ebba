import GraphRuntime

/// ONNX Trilu (14): the upper or lower triangle of matrices, zero elsewhere.
struct Trilu: Operator {
    var isUpper: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let shape = data.shape, shape.rank < 2 { throw TensorError("expected matrices, found \(shape)") }
        return [Fact(dtype: data.dtype, shape: data.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let diagonal = try context.optionalInput(1)?.integer("k") ?? 0
        let rank = data.shape.rank
        guard rank >= 2 else { throw TensorError("expected matrices, found \(data.shape)") }
        let (rows, columns) = (data.shape[rank - 2], data.shape[rank - 1])
        let zero = try Tensor.zero(data.dtype)
        try context.moveElements(of: [data, zero], into: 0, shape: data.shape) { units in
            guard data.count > 0 else { return }
            for row in 0..<data.count / columns {
                // The first column that belongs to the upper triangle, or the first behind the lower one.
                let first = saturatingAdd(row % rows, isUpper ? diagonal : saturatingAdd(diagonal, 1))
                let edge = min(max(first, 0), columns)
                let kept = isUpper ? edge..<columns : 0..<edge
                let cleared = isUpper ? 0..<edge : edge..<columns
                let start = row * columns
                try units.copy(at: start + kept.lowerBound, to: start + kept.lowerBound, count: kept.count)
                try units.fill(start + cleared.lowerBound..<start + cleared.upperBound, from: 1)
            }
        }
    }
}

extension Trilu {
    static let definitions = OperatorDefinition.all("Trilu", since: [14]) { decoder in
        try decoder.requireInputs(1...2)
        return Trilu(isUpper: try decoder.bool("upper", default: true))
    }
}
