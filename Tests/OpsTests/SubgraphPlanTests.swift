import GraphRuntime
import Ops
import Synchronization
import TestSupport
import Testing

/// The graphs of a node, such as a loop's body, have plans of their own.
@Suite struct SubgraphPlanTests {
    /// A loop that hands x on through the nodes that `build` adds to its body, which sees the constant w, and stacks what they give.
    private func loop(
        _ weight: Tensor, replaceable: Bool = false, _ build: (inout Graph, _ x: ValueID, _ w: ValueID) -> ValueID
    ) throws -> (graph: Graph, weight: ValueID) {
        var body = Graph(name: "body")
        let turn = body.addValue(ValueDeclaration(name: "turn"))
        let condition = body.addValue(ValueDeclaration(name: "condition"))
        let (carried, inner) = (body.addValue(ValueDeclaration(name: "carried")), body.addValue(ValueDeclaration(name: "w")))
        let sum = body.addValue(ValueDeclaration(name: "sum"))
        body.inputs = [turn, condition, carried]
        body.captures = [inner]
        let result = build(&body, carried, inner)
        body.nodes.append(
            Node(
                name: "sum", identity: OperatorIdentity(type: "ReduceSum", version: 13), inputs: [result], outputs: [sum],
                attributes: NodeAttributes(["keepdims": .int(0)])))
        body.outputs = [condition, result, sum]

        var graph = Graph()
        let names = ["turns", "x", "w", "last", "sums"]
        let ids = names.map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.inputs = [ids[0], ids[1]]
        graph.initializers = [ids[2]: weight]
        if replaceable { graph.replaceable = [ids[2]] }
        graph.outputs = [ids[3], ids[4]]
        graph.nodes = [
            Node(
                name: "loop", identity: OperatorIdentity(type: "Loop", version: 16), inputs: [ids[0], nil, ids[1]],
                outputs: [ids[3], ids[4]], captures: [ids[2]], attributes: NodeAttributes(["body": .graph(body)]))
        ]
        return (graph, ids[2])
    }

    private func node(_ type: String, _ version: Int, _ inputs: [ValueID], _ graph: inout Graph, axis: Int64? = nil) -> ValueID
    {
        let output = graph.addValue(ValueDeclaration(name: "\(type) \(graph.nodes.count)"))
        let attributes = NodeAttributes(axis.map { ["axis": .int($0)] } ?? [:])
        graph.nodes.append(
            Node(
                name: type, identity: OperatorIdentity(type: type, version: version), inputs: inputs, outputs: [output],
                attributes: attributes))
        return output
    }

    private func product(_ graph: inout Graph, _ x: ValueID, _ w: ValueID) -> ValueID {
        let product = node("MatMul", 13, [x, w], &graph)
        return node("Tanh", 13, [product], &graph)
    }

    private func session(_ graph: Graph, optimize: Bool = true) throws -> Session {
        try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
    }

    /// Counts the plans of nodes in subgraphs, and the nodes in them without one.
    private final class Places: RunObserver {
        private let state = Mutex((planned: Set<NodeSite>(), alone: 0))

        func didRun(_ event: NodeEvent) {
            guard event.depth > 0 else { return }
            state.withLock { state in
                if let site = event.site { state.planned.insert(site) } else { state.alone += 1 }
            }
        }

        var planned: Int { state.withLock { $0.planned.count } }
        var alone: Int { state.withLock { $0.alone } }
    }

    private func inputs(_ turns: Int64) throws -> [String: Tensor] {
        ["turns": try Tensor(scalar: turns), "x": try pseudoRandom([2, 3], seed: 3)]
    }

    private func expectSame(_ found: [String: Tensor], _ expected: [String: Tensor]) throws {
        for (name, tensor) in expected {
            let other = try #require(found[name])
            #expect(other.shape == tensor.shape)
            try expectClose(other, tensor.array(of: Float.self), within: Tolerance(ofLargest: 1e-6))
        }
    }

    /// A body is planned once, runs by that plan in every turn, and gives the same in each run.
    @Test func bodiesArePlannedOnce() throws {
        let graph = try loop(pseudoRandom([3, 3])) { product(&$0, $1, $2) }.graph
        let (planned, plain) = (try session(graph), try session(graph, optimize: false))
        let places = Places()
        for turns in [5, 0, 1, 5] as [Int64] {
            try expectSame(planned.run(inputs(turns), observer: places), plain.run(inputs(turns)))
        }
        #expect(places.alone == 0)
        #expect(places.planned == 3)
        planned.releaseMemory()
        try expectSame(planned.run(inputs(5)), plain.run(inputs(5)))
    }

    /// Where values grow from turn to turn, plans that are made for one turn each would cost more than they save.
    @Test func growingValuesRunNodeByNode() throws {
        let graph = try loop(pseudoRandom([1, 3])) { node("Concat", 13, [$1, $2], &$0, axis: 0) }.graph
        let (planned, plain) = (try session(graph), try session(graph, optimize: false))
        let places = Places()
        try expectSame(planned.run(inputs(40), observer: places), plain.run(inputs(40)))
        #expect((1...5).contains(places.planned / 2))
        #expect(places.alone >= 70)
    }

    /// Plans see the constant that holds.
    @Test func replacedConstantsReachBodies() throws {
        let (first, second) = (try pseudoRandom([3, 3], seed: 5), try pseudoRandom([3, 3], seed: 6))
        let (graph, id) = try loop(first, replaceable: true) { product(&$0, $1, $2) }
        let session = try session(graph)
        for weight in [first, second, first] {
            try session.replaceConstant(id, with: weight)
            let plain = try self.session(loop(weight) { product(&$0, $1, $2) }.graph, optimize: false)
            try expectSame(session.run(inputs(4)), plain.run(inputs(4)))
        }
    }

    /// A plan that holds for a constant isn't one for another that the loop hands on in its place.
    @Test func constantsThatChangePlaces() throws {
        var body = Graph(name: "body")
        let ids = ["turn", "condition", "a", "b"].map { body.addValue(ValueDeclaration(name: $0)) }
        body.inputs = ids
        let difference = node("Sub", 14, [ids[2], ids[3]], &body)
        body.outputs = [ids[1], ids[3], ids[2], difference]
        var graph = Graph()
        let outer = ["turns", "a", "b", "last a", "last b", "differences"].map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.inputs = [outer[0]]
        graph.initializers = [outer[1]: try Tensor([5, 7] as [Float]), outer[2]: try Tensor([1, 1] as [Float])]
        graph.outputs = Array(outer[3...])
        graph.nodes = [
            Node(
                name: "loop", identity: OperatorIdentity(type: "Loop", version: 16),
                inputs: [outer[0], nil, outer[1], outer[2]],
                outputs: outer[3...].map { $0 }, attributes: NodeAttributes(["body": .graph(body)]))
        ]
        for optimize in [true, false] {
            let found = try session(graph, optimize: optimize).run(["turns": Tensor(scalar: Int64(3))])
            try expectEqual(#require(found["differences"]), [4, 6, -4, -6, 4, 6] as [Float])
            try expectEqual(#require(found["last a"]), [1, 1] as [Float])
        }
    }

    /// A graph with a node that carries a and b from turn to turn through its body, which hands on what `build` returns.
    private func carrying(
        _ type: String, _ build: (_ body: inout Graph, _ turn: ValueID, _ a: ValueID, _ b: ValueID, _ w: ValueID) -> [ValueID]
    ) -> Graph {
        var body = Graph(name: "body")
        let isScan = type == "Scan"
        let ids = (isScan ? ["a", "b", "turn", "w"] : ["turn", "condition", "a", "b", "w"])
            .map { body.addValue(ValueDeclaration(name: $0)) }
        (body.inputs, body.captures) = (ids.dropLast(), [ids[ids.count - 1]])
        let results =
            isScan ? build(&body, ids[2], ids[0], ids[1], ids[3]) : build(&body, ids[0], ids[2], ids[3], ids[4])
        body.outputs = isScan ? results : [node("Identity", 16, [ids[1]], &body)] + results
        var graph = Graph()
        let outer = ["turns", "a", "b", "w", "last a", "last b", "results"].map { graph.addValue(ValueDeclaration(name: $0)) }
        (graph.inputs, graph.outputs) = (Array(outer[..<4]), Array(outer[4...]))
        let attributes =
            isScan
            ? NodeAttributes(["body": .graph(body), "num_scan_inputs": .int(1)]) : NodeAttributes(["body": .graph(body)])
        graph.nodes = [
            Node(
                name: "node", identity: OperatorIdentity(type: type, version: 16),
                inputs: isScan ? [outer[1], outer[2], outer[0]] : [outer[0], nil, outer[1], outer[2]],
                outputs: graph.outputs.map { $0 }, captures: [outer[3]], attributes: attributes)
        ]
        return graph
    }

    /// Values change places, are copied, stay in views, and are of any size; the memory of the turn before is used again.
    @Test(arguments: ["Loop", "Scan"], [1, 40, 3000]) func valuesPassFromTurnToTurn(type: String, count: Int) throws {
        let bodies: [(inout Graph, ValueID, ValueID, ValueID, ValueID) -> [ValueID]] = [
            { [$3, node("Add", 14, [$2, $4], &$0), $2] },
            { body, _, a, b, _ in
                [node("Identity", 16, [b], &body), node("Add", 14, [a, b], &body), node("Identity", 16, [a], &body)]
            },
            { body, _, a, b, w in
                let sum = node("Add", 14, [a, b], &body)
                return [sum, sum, node("Sub", 14, [sum, w], &body)]
            },
            { body, turn, a, b, _ in
                let step = node("Add", 14, [node("CastLike", 19, [turn, a], &body), a], &body)
                return [node("Sub", 14, [b, a], &body), step, node("Mul", 14, [step, b], &body)]
            },
            { [$3, $2, node("Max", 13, [$2, $4], &$0)] },
            // What is captured is read in the first step alone, and there are others whose results need a place.
            { body, _, a, b, w in
                let sum = node("Add", 14, [a, w], &body)
                return [node("Mul", 14, [sum, b], &body), b, b]
            },
            { body, _, a, b, w in
                let first = node("Sub", 14, [w, a], &body)
                let second = node("Mul", 14, [first, b], &body)
                let third = node("Tanh", 13, [node("Add", 14, [second, first], &body)], &body)
                return [third, node("Sub", 14, [third, second], &body), node("Neg", 13, [third], &body)]
            },
        ]
        for body in bodies {
            let graph = carrying(type, body)
            let (planned, plain) = (try session(graph), try session(graph, optimize: false))
            for turns in [7, 1, 7] as [Int64] {
                let inputs = [
                    "turns": try type == "Scan" ? Tensor((0..<turns).map { $0 }) : Tensor(scalar: turns),
                    "a": try pseudoRandom([count], seed: 3), "b": try pseudoRandom([count], seed: 4),
                    "w": try pseudoRandom([count], seed: 5),
                ]
                try expectSame(planned.run(inputs), plain.run(inputs))
            }
        }
    }

    /// A body may declare the turn as a tensor of one axis.
    @Test func turnsOfOneAxis() throws {
        var graph = carrying("Loop") { body, turn, a, b, _ in
            body.values[turn].type = .tensor(.int64, [.fixed(1)])
            return [node("Concat", 13, [node("CastLike", 19, [turn, a], &body)], &body, axis: 0), b, a]
        }
        graph.values[graph.inputs[0]].type = .tensor(.int64, [])
        for optimize in [true, false] {
            let found = try session(graph, optimize: optimize).run([
                "turns": Tensor(scalar: Int64(3)), "a": Tensor([5 as Float]), "b": Tensor([1 as Float]),
                "w": Tensor([0 as Float]),
            ])
            try expectEqual(#require(found["last a"]), [2] as [Float])
            try expectEqual(#require(found["results"]), [5, 0, 1] as [Float])
        }
    }

    @Test func fibonacciNumbers() throws {
        let graph = carrying("Loop") { [$3, node("Add", 14, [$2, $3], &$0), node("Add", 14, [$2, $4], &$0)] }
        let found = try session(graph).run([
            "turns": Tensor(scalar: Int64(10)), "a": Tensor([0 as Float]), "b": Tensor([1 as Float]),
            "w": Tensor([0 as Float]),
        ])
        try expectEqual(#require(found["results"]), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34] as [Float])
        try expectEqual(#require(found["last b"]), [89] as [Float])
    }

    /// What doesn't fit is said as it is without a plan.
    @Test func errorsNameTheNodeInTheBody() throws {
        let graph = try loop(pseudoRandom([4, 3])) { product(&$0, $1, $2) }.graph
        let found = [true, false].map { optimize in
            #expect(throws: RunError.self) { try session(graph, optimize: optimize).run(inputs(2)) }.map { "\($0)" }
        }
        #expect(found[0] == found[1])
        #expect(found[0]?.contains("MatMul") == true, "\(found[0] ?? "")")
    }
}
