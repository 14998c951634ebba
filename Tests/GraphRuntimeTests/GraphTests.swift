import GraphRuntime
import Testing

@Suite struct GraphTests {
    @Test func sortsNodes() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Add", ["b", "a"], ["y"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Scale", ["x"], ["a"])
        toy.output("y")
        #expect(throws: GraphError.self) { try toy.graph.validate() }
        try toy.graph.sortTopologically()
        try toy.graph.validate()
    }

    @Test func findsCycles() {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Add", ["x", "b"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.output("b")
        let error = #expect(throws: GraphError.self) { try toy.graph.sortTopologically() }
        #expect(error?.message.contains("cycle") == true)
    }

    @Test func findsDuplicateAndMissingSources() {
        var twice = ToyGraph()
        twice.input("x")
        twice.node("Scale", ["x"], ["a"])
        twice.node("Scale", ["x"], ["a"])
        twice.output("a")
        #expect(throws: GraphError.self) { try twice.graph.sortTopologically() }
        var missing = ToyGraph()
        missing.node("Scale", ["nowhere"], ["a"])
        missing.output("a")
        #expect(throws: GraphError.self) { try missing.graph.sortTopologically() }
        var output = ToyGraph()
        output.output("nowhere")
        #expect(throws: GraphError.self) { try output.graph.sortTopologically() }
    }
}
