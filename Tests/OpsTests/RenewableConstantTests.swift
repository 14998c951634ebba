import GraphRuntime
import Ops
import TestSupport
import Testing

/// Weights that a node makes of a file's constants, such as a Cast from half precision: kernels keep them packed, as those that lie in
/// the file as they are read.
@Suite struct RenewableConstantTests {
    /// y = x · f(w), where f is made of nodes over the constant w.
    private func session(
        _ weights: Tensor, _ nodes: [(type: String, attributes: NodeAttributes)], savesMemory: Bool = false
    ) throws -> Session {
        var graph = Graph()
        let x = graph.addValue(ValueDeclaration(name: "x"))
        var value = graph.addValue(ValueDeclaration(name: "w"))
        graph.initializers[value] = weights
        for node in nodes {
            let output = graph.addValue(ValueDeclaration(name: node.type))
            graph.nodes.append(
                Node(
                    name: "", identity: OperatorIdentity(type: node.type, version: 13), inputs: [value], outputs: [output],
                    attributes: node.attributes))
            value = output
        }
        let y = graph.addValue(ValueDeclaration(name: "y"))
        graph.nodes.append(
            Node(name: "", identity: OperatorIdentity(type: "MatMul", version: 13), inputs: [x, value], outputs: [y]))
        (graph.inputs, graph.outputs) = ([x], [y])
        return try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(threads: ThreadPool(threadCount: 2), savesMemory: savesMemory))
    }

    private static let cast = (type: "Cast", attributes: NodeAttributes(["to": .int(1)]))
    private static let identity = (type: "Identity", attributes: NodeAttributes())
    private static let transpose = (type: "Transpose", attributes: NodeAttributes(["perm": .ints([1, 0])]))

    private func half(_ tensor: Tensor) throws -> Tensor {
        let result = try MutableTensor(dtype: .float16, shape: tensor.shape)
        try HalfPrecision.narrow(tensor, into: result)
        return try MappedTensors([result.finish()]).tensors[0]
    }

    @Test(arguments: [1, 2, 3]) func castsArePackedAsAFilesOwn(count: Int) throws {
        let x = try pseudoRandom([77, 160], seed: 1)
        let weights = try half(pseudoRandom([160, 96], seed: 2))
        let wide = try MappedTensors([HalfPrecision.widen(weights)]).tensors[0]
        let nodes = [[Self.cast], [Self.cast, Self.identity], [Self.cast, Self.transpose, Self.transpose]][count - 1]
        for savesMemory in [false, true] {
            let (own, made) = (Profile(), Profile())
            let expected = try session(wide, [], savesMemory: savesMemory).run(["x": x], observer: own)["y"]
            let session = try session(weights, nodes, savesMemory: savesMemory)
            for _ in 0..<2 {
                let found = try session.run(["x": x], observer: made)["y"]
                try expectSame(try #require(found), try #require(expected), "\(nodes.map(\.type)), \(savesMemory)")
            }
            guard !savesMemory, count < 3 else { continue }
            #expect(Set(made.nodes.compactMap(\.kernel)) == Set(own.nodes.compactMap(\.kernel)))
        }
    }

    /// What is read as it is, is read as it is; and in two forms, in both.
    @Test func elementsAreThereForWhoReadsThem() throws {
        let weights = try half(pseudoRandom([64, 96], seed: 2))
        var graph = Graph()
        let ids = ["x", "i", "w", "c", "y", "row"].map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.initializers[ids[2]] = weights
        graph.nodes = [
            Node(
                name: "", identity: OperatorIdentity(type: "Cast", version: 13), inputs: [ids[2]], outputs: [ids[3]],
                attributes: NodeAttributes(["to": .int(1)])),
            Node(
                name: "", identity: OperatorIdentity(type: "MatMul", version: 13), inputs: [ids[0], ids[3]], outputs: [ids[4]]),
            Node(
                name: "", identity: OperatorIdentity(type: "Gather", version: 13), inputs: [ids[3], ids[1]], outputs: [ids[5]]),
        ]
        (graph.inputs, graph.outputs) = ([ids[0], ids[1]], [ids[4], ids[5]])
        let options = SessionOptions(threads: ThreadPool(threadCount: 2))
        let session = try Session(graph: graph, library: StandardOperators.library, options: options)
        let wide = try HalfPrecision.widen(weights).array(of: Float.self)
        for rows in [33, 34, 35, 33] {
            let found = try session.run(["x": try pseudoRandom([rows, 64], seed: 1), "i": Tensor([Int64(5)])])
            expectEqual(try #require(found["row"]).array(of: Float.self), Array(wide[5 * 96..<6 * 96]))
        }
    }
}
