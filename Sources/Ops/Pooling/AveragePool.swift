import GraphRuntime

/// ONNX AveragePool (7 to 22).
struct AveragePool: Operator {
    var attributes: PoolAttributes
    /// Whether the padding counts as zeros.
    var includesPadding: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try attributes.infer(inputs)] }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let kind = WindowPooling.Kind.average(includesPadding: includesPadding)
        if data.dtype == .float32,
            try attributes.geometry(data.shape).poolInVectors(kind, data, into: context.output(0), threads: context.threads)
        {
            return
        }
        if data.dtype == .float64 {
            try pool(data, Double.self, into: context.output(0), threads: context.threads)
        } else {
            try pool(data, Float.self, into: context.output(0), threads: context.threads)
        }
    }

    private func pool<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ type: Element.Type, into output: MutableTensor, threads: ThreadPool
    ) throws {
        let source = try data.view(of: type)
        let includesPadding = includesPadding
        let windows = PoolWindows(try attributes.geometry(data.shape))
        try output.forEachSlice(of: type, unit: windows.rowLength, grain: windows.grain, threads: threads) { rows, target in
            windows.forEach(in: rows) { window, place in
                var sum: Element = 0
                for row in 0..<window.rowCount {
                    let start = window.start(row)
                    for column in 0..<window.columns { sum += source[start &+ column &* window.step] }
                }
                let count = includesPadding ? window.paddedCount : window.count
                target[place] = count == 0 ? 0 : sum / Element(count)
            }
        }
    }
}

extension PoolAttributes {
    /// The fact of the output, of the input's type.
    func infer(_ inputs: InferenceInputs) throws -> Fact {
        let data = try inputs[0]
        return Fact(dtype: data.dtype, shape: try data.shape.map { try geometry($0).output() })
    }
}

extension AveragePool {
    static let definitions = OperatorDefinition.all("AveragePool", since: [7, 10, 11, 19, 22]) { decoder in
        try decoder.requireInputs(1...1)
        return AveragePool(
            attributes: try PoolAttributes(&decoder), includesPadding: try decoder.bool("count_include_pad", default: false))
    }
}
