import GraphRuntime
import ONNXLoader
import Testing

@Suite struct FunctionTests {
    private func fail(_ text: String, _ nodes: [Proto], _ functions: [Proto]) {
        expectFailure(.graph, text) {
            _ = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), functions: functions))
        }
    }

    private let call = nodeProto("F", ["x"], ["y"], domain: "local")

    @Test func versionsAreTheFunctions() throws {
        let function = functionProto("F", inputs: ["a"], outputs: ["b"], nodes: [nodeProto("Relu", ["a"], ["b"])], opset: 9)
        let nodes = [nodeProto("F", ["x"], ["t"], domain: "local"), nodeProto("Relu", ["t"], ["y"])]
        let graph = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), functions: [function]))
        #expect(graph.nodes.map(\.identity.version) == [9, 17])
    }

    @Test func namesStayApart() throws {
        let function = functionProto(
            "F", inputs: ["x"], outputs: ["y"],
            nodes: [nodeProto("Neg", ["x"], ["t"], name: "n"), nodeProto("Abs", ["t"], ["y"], name: "a")])
        // "t" is a value of the model too, and "F/t" one that the prefix of the call would make.
        let nodes = [
            nodeProto("F", ["x"], ["t"], name: "call", domain: "local"),
            nodeProto("F", ["t"], ["call"], name: "call", domain: "local"),
            nodeProto("F", ["call"], ["y"], domain: "local"),
        ]
        let graph = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), functions: [function]))
        #expect(graph.nodes.map(\.identity.type) == ["Neg", "Abs", "Neg", "Abs", "Neg", "Abs"])
        #expect(Set(graph.nodes.map(\.name)).count == 6)
        #expect(Set(graph.values.map(\.name)).count == graph.values.count)
        #expect(graph.names(graph.nodes[1].outputs) == ["t"])
    }

    @Test func omittedInputsAndOutputs() throws {
        let function = functionProto(
            "F", inputs: ["a", "b", "c"], outputs: ["o", "p"],
            nodes: [nodeProto("Clip", ["a", "b", "c"], ["o"]), nodeProto("Neg", ["o"], ["p"])])
        let nodes = [nodeProto("F", ["x", ""], ["", "y"], domain: "local")]
        let graph = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), functions: [function]))
        #expect(graph.nodes[0].inputs == [graph.inputs[0], nil, nil])
        #expect(graph.nodes[1].inputs == graph.nodes[0].outputs)
    }

    @Test func inputHandedOut() throws {
        let function = functionProto("F", inputs: ["a"], outputs: ["a"], nodes: [])
        let graph = try loadGraph(
            modelBytes(graphProto(nodes: [call], inputs: ["x"], outputs: ["y"]), functions: [function]))
        #expect(graph.nodes.map(\.identity) == [OperatorIdentity(type: "Identity", version: 18)])
    }

    /// A graph within a function hides an input's name; one given as the call's attribute keeps the caller's names.
    @Test func graphsAndScopes() throws {
        let hiding = graphProto(nodes: [nodeProto("Neg", ["b"], ["a"])], outputs: ["a"])
        let branch = nodeProto(
            "If", ["a"], ["o"],
            attributes: [
                graphAttribute("then_branch", hiding),
                attributeProto("else_branch", type: 5) { $0.string(21, "body") },
            ])
        let function = functionProto("F", inputs: ["a", "b"], outputs: ["o"], nodes: [branch]) { $0.string(6, "body") }
        let given = graphProto(nodes: [nodeProto("Abs", ["beside"], ["q"])], outputs: ["q"])
        let nodes = [
            nodeProto("Exp", ["x"], ["beside"]),
            nodeProto("F", ["x", "beside"], ["y"], domain: "local", attributes: [graphAttribute("body", given)]),
        ]
        let graph = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), functions: [function]))
        let node = try #require(graph.nodes.last)
        #expect(graph.names(node.captures) == ["beside", "beside"])
        for (_, inner) in node.attributes.graphs { try inner.validate() }
    }

    @Test func missingAttributeIsLeftOut() throws {
        let node = nodeProto(
            "Softmax", ["a"], ["b"], attributes: [attributeProto("axis", type: 2) { $0.string(21, "axis") }])
        let function = functionProto("F", inputs: ["a"], outputs: ["b"], nodes: [node]) { $0.string(6, "axis") }
        let graph = try loadGraph(
            modelBytes(graphProto(nodes: [call], inputs: ["x"], outputs: ["y"]), functions: [function]))
        #expect(graph.nodes[0].attributes.names.isEmpty)
    }

    @Test func recursion() {
        func function(_ name: String, calling other: String) -> Proto {
            functionProto(name, inputs: ["a"], outputs: ["b"], nodes: [nodeProto(other, ["a"], ["b"], domain: "local")])
        }
        fail("the function local.F calls itself", [call], [function("F", calling: "F")])
        fail("the function local.F calls itself", [call], [function("F", calling: "G"), function("G", calling: "F")])
        let inner = graphProto(nodes: [nodeProto("F", ["a"], ["z"], domain: "local")], outputs: ["z"])
        let hidden = functionProto(
            "F", inputs: ["a"], outputs: ["b"],
            nodes: [nodeProto("If", ["a"], ["b"], attributes: [graphAttribute("then_branch", inner)])])
        fail("the function local.F calls itself", [call], [hidden])
    }

    @Test func growth() {
        /// Thirty functions, each of which calls the next `count` times.
        func chain(_ count: Int, name: String, ending: [Proto]) -> [Proto] {
            (0..<30).map { index in
                let calls = (0..<count).map { nodeProto("F\(index + 1)", ["a"], ["c\($0)"], name: name, domain: "local") }
                let nodes = index == 29 ? ending : calls
                return functionProto(index == 0 ? "F" : "F\(index)", inputs: ["a"], outputs: [], nodes: nodes)
            }
        }
        let quiet = nodeProto("F", ["x"], [], domain: "local")
        expectFailure(.limit, "the graph has more than 100000 nodes, the limit of a load") {
            var limits = ResourceLimits()
            limits.nodes = 100_000
            _ = try ONNXModel(
                bytes: modelBytes(
                    graphProto(nodes: [quiet], inputs: ["x"]), functions: chain(2, name: "", ending: []).map(withOutputs)),
                limits: limits)
        }
        expectFailure(.limit, "loading takes more than 2147483648 bytes of memory") {
            let long = String(repeating: "n", count: 100_000)
            _ = try loadGraph(
                modelBytes(
                    graphProto(nodes: [quiet], inputs: ["x"]), functions: chain(2, name: long, ending: []).map(withOutputs)))
        }
        let deep = (0..<120).map { index in
            functionProto(
                index == 0 ? "F" : "F\(index)", inputs: ["a"], outputs: ["b"],
                nodes: [nodeProto(index == 119 ? "Neg" : "F\(index + 1)", ["a"], ["b"], domain: index == 119 ? "" : "local")])
        }
        fail("more than 100 deep", [call], deep)
    }

    /// Functions with one output that nothing need take.
    private func withOutputs(_ function: Proto) -> Proto {
        var copy = function
        copy.string(5, "out")
        return copy
    }

    /// An output that a function lists twice is two values for its caller.
    @Test func outputsThatAreListedTwice() throws {
        let relu = nodeProto("Relu", ["a"], ["b"], name: "relu")
        let function = functionProto("F", inputs: ["a"], outputs: ["b", "b"], nodes: [relu])
        let graph = try loadGraph(
            modelBytes(
                graphProto(nodes: [nodeProto("F", ["x"], ["y", "z"], domain: "local")], inputs: ["x"], outputs: ["y", "z"]),
                functions: [function]))
        #expect(graph.nodes.map(\.identity.type) == ["Relu", "Identity"])
        #expect(graph.names(graph.outputs) == ["y", "z"])
        #expect(graph.names(graph.nodes[1].inputs) == ["y"])
    }

    @Test func wrongCallsAndFunctions() {
        let relu = nodeProto("Relu", ["a"], ["b"])
        let function = functionProto("F", inputs: ["a"], outputs: ["b"], nodes: [relu])
        fail("the function local.F is defined twice: keep one of them", [call], [function, function])
        fail(
            "takes 1 inputs and gives 1 outputs, but the call has 2 and 1",
            [nodeProto("F", ["x", "x"], ["y"], domain: "local")], [function])
        fail("the call has 1 and 2", [nodeProto("F", ["x"], ["y", "z"], domain: "local")], [function])
        fail("lists the input \"a\" twice", [call], [functionProto("F", inputs: ["a", "a"], outputs: ["b"], nodes: [relu])])
        // Nothing produces the output; the body reads a value of the caller.
        fail("nothing produces the output \"y\"", [call], [functionProto("F", inputs: ["a"], outputs: ["c"], nodes: [relu])])
        fail(
            "nothing produces the input \"F/x\"", [call],
            [functionProto("F", inputs: ["a"], outputs: ["b"], nodes: [nodeProto("Relu", ["x"], ["b"])])])
        fail("imports version -1", [call], [functionProto("F", inputs: ["a"], outputs: ["b"], nodes: [relu], opset: -1)])
    }
}
