import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// ONNX LpPool (2 to 22): the p-norm of each window.
struct LpPool: Operator {
    var attributes: PoolAttributes
    var p: Int

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try attributes.infer(inputs)] }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
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
        let norm = Norm(p: p)
        let windows = PoolWindows(try attributes.geometry(data.shape))
        try output.forEachSlice(of: type, unit: windows.rowLength, grain: windows.grain, threads: threads) { rows, target in
            windows.forEach(in: rows) { window, place in
                var sum = 0.0
                for row in 0..<window.rowCount {
                    let start = window.start(row)
                    for column in 0..<window.columns { sum += norm.power(Double(source[start &+ column &* window.step])) }
                }
                target[place] = Element(norm.root(sum))
            }
        }
    }
}

/// The p-norm, in double precision.
struct Norm {
    var p: Int

    func power(_ value: Double) -> Double { p == 2 ? value * value : p == 1 ? abs(value) : pow(abs(value), Double(p)) }

    func root(_ sum: Double) -> Double { p == 2 ? sum.squareRoot() : p == 1 ? sum : pow(sum, 1 / Double(p)) }
}

extension LpPool {
    static let definitions = OperatorDefinition.all("LpPool", since: [2, 11, 18, 22]) { decoder in
        try decoder.requireInputs(1...1)
        let p = try decoder.int("p", default: 2)
        guard p > 0 else { throw TensorError("p is \(p)") }
        return LpPool(attributes: try PoolAttributes(&decoder), p: p)
    }
}
