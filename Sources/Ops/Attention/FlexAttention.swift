import GraphRuntime

/// FlexAttention (ai.onnx.preview, 1): probabilities · V, where the scores Q · Kᵀ · scale go through one graph before their softmax and
/// the probabilities through another behind it (Dong et al. 2024, "Flex Attention").
///
/// Inputs: Q [B, heads, L, E], K [B, groups, M, E], V [B, groups, M, F]; consecutive heads share a group. Output: [B, heads, L, F].
struct FlexAttention: Operator {
    /// Nil for 1 / √E.
    let scale: Double?
    /// What the graphs take and return; nil for float64 where the inputs are so, float32 else.
    let precision: DType?
    let scoreGraph: Subgraph?
    let probabilityGraph: Subgraph?

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (q, k, v) = (try inputs[0], try inputs[1], try inputs[2])
        guard let query = q.shape, let key = k.shape, let value = v.shape else { return [Fact(dtype: q.dtype)] }
        return [Fact(dtype: q.dtype, shape: try Extents(query, key, value).output)]
    }

    private struct Extents {
        let output: Shape
        /// [B, heads, L, M]
        let scores: Shape
        /// [B, groups, heads / groups · L, E]: all queries of a group as rows of one product.
        let grouped: Shape

        init(_ q: Shape, _ k: Shape, _ v: Shape) throws(TensorError) {
            guard q.rank == 4, k.rank == 4, v.rank == 4, q[0] == k[0], q[0] == v[0], k[1] == v[1], k[2] == v[2], q[3] == k[3],
                k[1] > 0, q[1] % k[1] == 0
            else { throw TensorError("queries \(q), keys \(k) and values \(v) don't fit together") }
            output = try Shape([q[0], q[1], q[2], v[3]])
            scores = try Shape([q[0], q[1], q[2], k[2]])
            grouped = try Shape([q[0], k[1], q[1] / k[1] * q[2], q[3]])
        }
    }

    func run(_ context: inout RunContext) throws {
        let (q, k, v) = (try context.input(0), try context.input(1), try context.input(2))
        guard q.dtype == k.dtype, q.dtype == v.dtype else {
            throw TensorError("queries, keys and values are of \(q.dtype), \(k.dtype) and \(v.dtype), expected one type")
        }
        let extents = try Extents(q.shape, k.shape, v.shape)
        let threads = context.threads
        let factor = scale ?? 1 / Double(max(q.shape[3], 1)).squareRoot()
        let scaled = try MutableTensor(dtype: q.dtype, shape: q.shape)
        let number = q.dtype == .float64 ? try Tensor(scalar: factor) : try Tensor(scalar: Float(factor))
        try arithmetic(.multiply, q, number, into: scaled, threads: threads)
        let keys = try RunContext.newTensor(of: [k], shape: Shape([k.shape[0], k.shape[1], k.shape[3], k.shape[2]])) { units in
            try units.transpose(k.shape, permutation: [0, 1, 3, 2], threads: threads)
        }
        var scores = try product(scaled.finish().reshaped(to: extents.grouped), keys, threads).reshaped(to: extents.scores)
        scores = try modified(scores, by: scoreGraph, &context)
        let probabilities = try MutableTensor(dtype: scores.dtype, shape: scores.shape)
        let count = extents.scores[3]
        try softmax(
            scores, outer: count == 0 ? 0 : scores.count / count, count: count, inner: 1, isLogarithm: false,
            into: probabilities,
            threads: threads)
        let weights = try modified(probabilities.finish(), by: probabilityGraph, &context)
        let rows = try Shape(Array(extents.grouped.dimensions.dropLast()) + [count])
        let result = try product(weights.reshaped(to: rows), v, threads)
        try context.output(0).copy(from: result.reshaped(to: extents.output))
    }

    private func product(_ a: Tensor, _ b: Tensor, _ threads: ThreadPool) throws -> Tensor {
        let result = try MutableTensor(dtype: a.dtype, shape: MatMulExtents(a.shape, b.shape).output)
        if a.dtype == .float64 {
            try matMul(Double.self, a, b, bias: nil, residual: nil, into: result, threads: threads)
        } else {
            try matMul(Float.self, a, b, bias: nil, residual: nil, into: result, .single, threads: threads)
        }
        return try result.finish()
    }

    /// What a graph makes of scores, in their own type again; the same where there is no graph.
    private func modified(_ x: Tensor, by graph: Subgraph?, _ context: inout RunContext) throws -> Tensor {
        guard let graph else { return x }
        let given = try cast(x, to: precision ?? x.dtype, threads: context.threads)
        let results = try context.run(graph, inputs: [.tensor(given)])
        guard let result = try results.first?.asTensor(), result.shape == x.shape, result.dtype.isFloat else {
            let found = results.first.map(\.kind) ?? "nothing"
            throw TensorError("a graph of the node makes \(found) of \(x.dtype)\(x.shape), expected the same form")
        }
        return try cast(result, to: x.dtype, threads: context.threads)
    }

    static let domain = "ai.onnx.preview"

    static let definition = OperatorDefinition("FlexAttention", domain: domain, since: 1) { decoder in
        try decoder.requireInputs(3...3)
        let scale = try decoder.optionalFloat("scale")
        guard scale?.isFinite ?? true else { throw TensorError("attribute scale isn't finite") }
        let precision = try decoder.optionalDType("softmax_precision")
        guard precision?.isFloat ?? true else {
            throw TensorError("attribute softmax_precision names \(precision.map { "\($0)" } ?? ""), expected a type of floats")
        }
        func graph(_ name: String) throws -> Subgraph? {
            guard let graph = try decoder.optionalSubgraph(name) else { return nil }
            guard graph.graph.inputs.count == 1, graph.graph.outputs.count == 1 else {
                throw TensorError("the graph \(name) should have one input and one output")
            }
            return graph
        }
        return FlexAttention(
            scale: scale.map { Double($0) }, precision: precision, scoreGraph: try graph("score_mod"),
            probabilityGraph: try graph("prob_mod"))
    }
}
