import GraphRuntime
import Ops
import TestSupport
import Testing

/// Nodes whose operands are the same places in every run, and the small inputs and outputs that are copied to have such places.
@Suite struct PreparedRunTests {
    private func node(_ type: String, _ version: Int, _ inputs: [ValueID], _ outputs: [ValueID], axis: Int64? = nil) -> Node {
        Node(
            name: type.lowercased(), identity: OperatorIdentity(type: type, version: version), inputs: inputs, outputs: outputs,
            attributes: NodeAttributes(axis.map { ["axis": .int($0)] } ?? [:]))
    }

    private func session(_ graph: Graph, optimize: Bool = true) throws -> Session {
        try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
    }

    /// x + 1, x under another shape and x itself, and the first two once more behind it.
    private func outputs() throws -> Graph {
        var graph = Graph()
        let ids = ["x", "one", "shape", "sum", "flat", "flat sum"].map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.inputs = [ids[0]]
        graph.initializers = [ids[1]: try Tensor([1 as Float]), ids[2]: try Tensor([-1 as Int64])]
        graph.nodes = [
            node("Add", 14, [ids[0], ids[1]], [ids[3]]), node("Reshape", 14, [ids[0], ids[2]], [ids[4]]),
            node("Reshape", 14, [ids[3], ids[2]], [ids[5]]),
        ]
        graph.outputs = [ids[0], ids[3], ids[4], ids[5]]
        return graph
    }

    /// What a run returned stays as it is while others run.
    @Test func outputsStay() throws {
        let session = try session(outputs())
        let inputs = try (0..<3).map { try Tensor([Float($0), 5, -Float($0), 2], shape: Shape([2, 2])) }
        let results = try inputs.map { try session.run(["x": $0]) }
        for (x, result) in zip(inputs, results) {
            let values = try x.array(of: Float.self)
            for name in ["x", "flat"] { try expectEqual(#require(result[name]), values) }
            for name in ["sum", "flat sum"] { try expectEqual(#require(result[name]), values.map { $0 + 1 }) }
        }
    }

    /// A part of a value, backwards, in runs of different numbers.
    @Test(arguments: [true, false]) func slices(optimize: Bool) throws {
        var graph = Graph()
        let ids = ["x", "one", "start", "end", "axis", "step", "sum", "part", "y"].map {
            graph.addValue(ValueDeclaration(name: $0))
        }
        graph.inputs = [ids[0]]
        graph.initializers = [ids[1]: try Tensor([1 as Float])]
        for (id, number) in zip(ids[2...5], [3, 0, 0, -2] as [Int64]) { graph.initializers[id] = try Tensor([number]) }
        graph.nodes = [
            node("Add", 14, [ids[0], ids[1]], [ids[6]]), node("Slice", 13, Array([ids[6]] + ids[2...5]), [ids[7]]),
            node("Add", 14, [ids[7], ids[1]], [ids[8]]),
        ]
        graph.outputs = [ids[8]]
        let session = try session(graph, optimize: optimize)
        for start: Float in [0, 10, -7] {
            let x = try Tensor((0..<5).map { start + Float($0) })
            try expectEqual(#require(session.run(["x": x])["y"]), [start + 5, start + 3])
        }
    }

    /// Runs at the same time have places of their own.
    @Test func runsAtOnce() async throws {
        let session = try session(outputs())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for start in 0..<64 {
                group.addTask {
                    let x = try pseudoRandom([3, 5], seed: UInt64(start))
                    let found = try session.run(["x": x])
                    try expectEqual(#require(found["flat sum"]), x.array(of: Float.self).map { $0 + 1 })
                }
            }
            try await group.waitForAll()
        }
    }

    /// What a body stacks and hands on in one turn isn't written over by the next.
    @Test func turnsKeepTheirValues() throws {
        var body = Graph(name: "body")
        let names = ["turn", "condition", "carried", "older", "shape", "next", "flat", "factor", "double"]
        let ids = names.map { body.addValue(ValueDeclaration(name: $0)) }
        body.inputs = Array(ids[0..<4])
        body.initializers = [ids[4]: try Tensor([-1 as Int64]), ids[7]: try Tensor([2 as Float])]
        body.nodes = [
            node("Add", 14, [ids[2], ids[3]], [ids[5]]), node("Reshape", 14, [ids[3], ids[4]], [ids[6]]),
            node("Mul", 14, [ids[2], ids[7]], [ids[8]]),
        ]
        // Fibonacci's numbers: the next one, and the one before.
        body.outputs = [ids[1], ids[5], ids[2], ids[6], ids[8], ids[2]]
        var graph = Graph()
        let outer = ["turns", "a", "b", "last", "before", "flats", "doubles", "carried"].map {
            graph.addValue(ValueDeclaration(name: $0))
        }
        graph.inputs = Array(outer[0..<3])
        graph.outputs = Array(outer[3...])
        graph.nodes = [
            Node(
                name: "loop", identity: OperatorIdentity(type: "Loop", version: 16),
                inputs: [outer[0], nil, outer[1], outer[2]],
                outputs: outer[3...].map { $0 }, attributes: NodeAttributes(["body": .graph(body)]))
        ]
        for optimize in [true, false] {
            let session = try session(graph, optimize: optimize)
            for _ in 0..<2 {
                let found = try session.run([
                    "turns": Tensor(scalar: Int64(6)), "a": Tensor([1 as Float], shape: Shape([1, 1])),
                    "b": Tensor([0 as Float], shape: Shape([1, 1])),
                ])
                try expectEqual(#require(found["last"]), [13 as Float])
                try expectEqual(#require(found["before"]), [8 as Float])
                try expectEqual(#require(found["flats"]), [0, 1, 1, 2, 3, 5] as [Float])
                try expectEqual(#require(found["doubles"]), [2, 2, 4, 6, 10, 16] as [Float])
                try expectEqual(#require(found["carried"]), [1, 1, 2, 3, 5, 8] as [Float])
            }
        }
    }

    /// What only the elements tell is an error of the node, in this run alone.
    @Test func refusesElements() throws {
        var graph = Graph()
        let ids = ["data", "index", "slice"].map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.inputs = Array(ids[0..<2])
        graph.nodes = [node("Gather", 13, Array(ids[0..<2]), [ids[2]], axis: 0)]
        graph.outputs = [ids[2]]
        let session = try session(graph)
        let data = try Tensor([1, 2, 3, 4] as [Float], shape: Shape([2, 2]))
        func run(_ index: Int64) throws -> Tensor? { try session.run(["data": data, "index": Tensor([index])])["slice"] }
        try expectEqual(#require(try run(-1)), [3, 4] as [Float])
        let error = #expect(throws: RunError.self) { try run(2) }
        #expect(error.map { "\($0)" }?.contains("index 2 is outside of an axis of extent 2") == true)
        try expectEqual(#require(try run(0)), [1, 2] as [Float])
    }
}
