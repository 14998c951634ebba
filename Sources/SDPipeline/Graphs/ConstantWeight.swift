import GraphRuntime
import Ops

/// A weight as a file states it: as it is, or quantised.
struct ConstantWeight: Sendable {
    enum Source: Sendable {
        case stored(Tensor)
        /// A graph without inputs whose output is the weight.
        case quantised(Graph)
    }

    let source: Source
    let shape: [Int]
    let dtype: DType

    init(_ tensor: Tensor) {
        (source, shape, dtype) = (.stored(tensor), tensor.shape.dimensions, tensor.dtype)
    }

    /// Whether it is as it is.
    var isStored: Bool { if case .stored = source { true } else { false } }

    /// What a DequantizeLinear makes of constants; nil where it reads others, or answers a type that weights can't have.
    init?(_ node: Node, in graph: Graph) {
        var (small, node) = (Graph(), node)
        var tensors: [Tensor] = []
        for (place, id) in node.inputs.enumerated() {
            guard let id else { continue }
            guard let tensor = graph.initializers[id] else { return nil }
            let value = small.addValue(ValueDeclaration(name: "\(place)"))
            small.initializers[value] = tensor
            node.inputs[place] = value
            tensors.append(tensor)
        }
        guard tensors.count > 1, [.float32, .float16, .bfloat16].contains(tensors[1].dtype), node.outputs.count == 1 else {
            return nil
        }
        let output = small.addValue(ValueDeclaration(name: "weight"))
        node.outputs = [output]
        (small.nodes, small.outputs) = ([node], [output])
        (source, shape, dtype) = (.quantised(small), tensors[0].shape.dimensions, tensors[1].dtype)
    }

    /// The weight's numbers.
    ///
    /// - Throws: ``GraphError`` or ``RunError`` for a quantisation that doesn't fit its numbers, ``TensorError`` without memory.
    func floats(threads: ThreadPool) throws -> [Float] {
        switch source {
        case .stored(let tensor):
            let values = try Self.floats(of: tensor)
            // What is merged isn't in memory beside what it is merged from.
            tensor.storage.releasePages(tensor.byteOffset..<tensor.byteOffset + tensor.byteCount)
            return values
        case .quantised(let graph):
            let options = SessionOptions(optimize: false, threads: threads)
            let session = try Session(graph: graph, library: StandardOperators.library, options: options)
            guard let tensor = try session.run([:])["weight"] else { return [] }
            return try Self.floats(of: tensor)
        }
    }

    static func floats(of tensor: Tensor) throws -> [Float] {
        if tensor.dtype == .float64 { return try tensor.array(of: Double.self).map { Float($0) } }
        return try HalfPrecision.widen(tensor).array(of: Float.self)
    }
}
