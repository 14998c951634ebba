import GraphRuntime
import Ops
import TestSupport
import Testing

@Suite struct ControlTests {
    /// A graph that hands one of two captured values on, by a condition that is an input or a constant.
    private func choice(constant: Bool?) throws -> Graph {
        var graph = Graph()
        let (a, b) = (graph.addValue(ValueDeclaration(name: "a")), graph.addValue(ValueDeclaration(name: "b")))
        let condition = graph.addValue(ValueDeclaration(name: "condition"))
        let output = graph.addValue(ValueDeclaration(name: "y"))
        func branch(_ name: String) -> Graph {
            var inner = Graph(name: name)
            let capture = inner.addValue(ValueDeclaration(name: name))
            let result = inner.addValue(ValueDeclaration(name: name + "_negated"))
            inner.captures = [capture]
            inner.nodes = [
                Node(name: "negate", identity: OperatorIdentity(type: "Neg", version: 13), inputs: [capture], outputs: [result])
            ]
            inner.outputs = [result]
            return inner
        }
        graph.inputs = [a, b]
        if let constant { graph.initializers[condition] = try Tensor(scalar: constant) } else { graph.inputs.append(condition) }
        graph.nodes = [
            Node(
                name: "if", identity: OperatorIdentity(type: "If", version: 16), inputs: [condition], outputs: [output],
                captures: [a, b],
                attributes: NodeAttributes(["then_branch": .graph(branch("a")), "else_branch": .graph(branch("b"))]))
        ]
        graph.outputs = [output]
        return graph
    }

    @Test(arguments: [true, false], [true, false])
    func runsTheBranchThatHolds(condition: Bool, optimize: Bool) throws {
        let values = ["a": try floats([1, 2], [2]), "b": try floats([3, 4], [2])]
        let expected: [Float] = condition ? [-1, -2] : [-3, -4]
        let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1))
        let dynamic = try Session(graph: choice(constant: nil), library: StandardOperators.library, options: options)
        let given = values.merging(["condition": try Tensor(scalar: condition)]) { first, _ in first }
        try expectEqual(#require(try dynamic.run(given)["y"]), expected)
        let fixed = try Session(graph: choice(constant: condition), library: StandardOperators.library, options: options)
        try expectEqual(#require(try fixed.run(values)["y"]), expected)
        // With a constant condition the branch takes the node's place.
        if optimize { #expect(try fixed.prepare(values).nodeCount <= 2) }
    }

    /// Cancels the task that it runs in after the first node of a subgraph.
    private final class Canceller: RunObserver {
        func didRun(_ event: NodeEvent) {
            if event.depth > 0 { withUnsafeCurrentTask { unsafe $0?.cancel() } }
        }
    }

    /// A task that is cancelled within a subgraph gets what it gets elsewhere.
    @Test(arguments: [true, false]) func endsWithinABranch(optimize: Bool) async throws {
        var graph = try choice(constant: nil)
        var branch = try #require(graph.nodes[0].attributes.graphs.first?.1)
        let more = branch.addValue(ValueDeclaration(name: "more"))
        branch.nodes.append(
            Node(
                name: "again", identity: OperatorIdentity(type: "Neg", version: 13), inputs: [branch.outputs[0]],
                outputs: [more]))
        branch.outputs = [more]
        graph.nodes[0].attributes = NodeAttributes(["then_branch": .graph(branch), "else_branch": .graph(branch)])
        let session = try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1)))
        let a = try floats([1], [1])
        let task = Task {
            _ = try session.run(["a": a, "b": a, "condition": Tensor(scalar: true)], observer: Canceller())
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func refusesWhatIsNoCondition() throws {
        let session = try Session(graph: choice(constant: nil), library: StandardOperators.library)
        let a = try floats([1], [1])
        expectError("expected one condition, found float32[1]") { try session.run(["a": a, "b": a, "condition": a]) }
    }

    @Test func sequences() throws {
        var graph = Graph()
        let data = graph.addValue(ValueDeclaration(name: "x"))
        let place = graph.addValue(ValueDeclaration(name: "place"))
        let (parts, part) = (graph.addValue(ValueDeclaration(name: "parts")), graph.addValue(ValueDeclaration(name: "y")))
        graph.inputs = [data, place]
        graph.outputs = [part]
        graph.nodes = [
            Node(
                name: "split", identity: OperatorIdentity(type: "SplitToSequence", version: 11), inputs: [data],
                outputs: [parts],
                attributes: NodeAttributes(["axis": .int(1), "keepdims": .int(0)])),
            Node(
                name: "at", identity: OperatorIdentity(type: "SequenceAt", version: 11), inputs: [parts, place], outputs: [part]
            ),
        ]
        for optimize in [true, false] {
            let session = try Session(
                graph: graph, library: StandardOperators.library, options: SessionOptions(optimize: optimize))
            let x = try floats([1, 2, 3, 4, 5, 6], [2, 3])
            let result = try session.run(["x": x, "place": Tensor(scalar: Int64(-1))])
            try expectEqual(#require(try result["y"]), [3, 6] as [Float])
            expectError("index 3 is outside of an axis of extent 3") {
                try session.run(["x": x, "place": Tensor(scalar: Int64(3))])
            }
        }
    }
}
