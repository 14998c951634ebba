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
        unsafe try context.moveElements(of: [data, zero], into: 0, shape: data.shape) { units in
            guard data.count > 0 else { return }
            let width = unsafe units.width
            for row in 0..<data.count / columns {
                // The first column that belongs to the upper triangle, or the first behind the lower one.
                let first = saturatingAdd(row % rows, isUpper ? diagonal : saturatingAdd(diagonal, 1))
                let edge = min(max(first, 0), columns)
                let kept = isUpper ? edge..<columns : 0..<edge
                let cleared = isUpper ? 0..<edge : edge..<columns
                let (from, to) = unsafe (units.sources[0] + row * columns * width, units.target + row * columns * width)
                unsafe (to + kept.lowerBound * width).copyMemory(
                    from: from + kept.lowerBound * width, byteCount: kept.count * width)
                unsafe fillElements(to + cleared.lowerBound * width, count: cleared.count, with: units.sources[1], width: width)
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
