import GraphRuntime
import Ops

/// A graph of a few nodes with its inputs, as a benchmark states it.
struct SmallGraph {
    private(set) var graph = Graph()
    private(set) var given: [String: Tensor] = [:]

    private mutating func value() -> ValueID { graph.addValue(ValueDeclaration(name: "v\(graph.values.count)")) }

    /// An input of numbers in -1...1.
    mutating func input(_ shape: [Int]) throws -> ValueID {
        let id = value()
        graph.inputs.append(id)
        given[graph.values[id].name] = try Self.numbers(shape, seed: id)
        return id
    }

    /// A constant of numbers in -1...1, in a mapped file.
    mutating func weights(_ shape: [Int]) throws -> ValueID {
        constant(try WeightFile.map(Self.numbers(shape, seed: graph.values.count)))
    }

    mutating func constant(_ tensor: Tensor) -> ValueID {
        let id = value()
        graph.initializers[id] = tensor
        return id
    }

    mutating func node(
        _ type: String, _ inputs: [ValueID], version: Int = 21, attributes: NodeAttributes = NodeAttributes(), name: String = ""
    ) -> ValueID {
        let output = value()
        graph.nodes.append(
            Node(
                name: name, identity: OperatorIdentity(type: type, version: version), inputs: inputs, outputs: [output],
                attributes: attributes))
        return output
    }

    /// Makes one element of a value the graph's output, so that the value itself lies in the memory that all runs share.
    mutating func finish(_ result: ValueID, rank: Int) throws {
        let starts = constant(try Tensor([Int64](repeating: 0, count: rank)))
        let ends = constant(try Tensor([Int64](repeating: 1, count: rank)))
        graph.outputs = [node("Slice", [result, starts, ends], name: Self.lastNode)]
    }

    static let lastNode = "one element"

    /// The same numbers in every run (a linear congruential generator, Knuth's MMIX constants).
    private static func numbers(_ dimensions: [Int], seed: Int) throws -> Tensor {
        let shape = try Shape(dimensions)
        let result = try MutableTensor(dtype: .float32, shape: shape)
        var state = UInt64(seed + 1)
        try result.withMutableSpan(of: Float.self) { values in
            for index in 0..<values.count {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                values[index] = Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
            }
        }
        return try result.finish()
    }
}
