import GraphRuntime
import TestSupport
import Testing

@Suite struct GraphTests {
    @Test func sortsNodes() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Add", ["b", "a"], ["y"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Scale", ["x"], ["a"])
        toy.output("y")
        expectError("reads \"b\" before it is produced") { try toy.graph.validate() }
        try toy.graph.sortTopologically()
        try toy.graph.validate()
    }

    @Test func findsCycles() {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Add", ["x", "b"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.output("b")
        expectError("the graph has a cycle through Add") { try toy.graph.sortTopologically() }
    }

    @Test func findsDuplicateAndMissingSources() {
        var twice = ToyGraph()
        twice.input("x")
        twice.node("Scale", ["x"], ["a"])
        twice.node("Scale", ["x"], ["a"])
        twice.output("a")
        expectError("\"a\" is produced twice") { try twice.graph.sortTopologically() }
        var missing = ToyGraph()
        missing.node("Scale", ["nowhere"], ["a"])
        missing.output("a")
        expectError("reads \"nowhere\", which nothing produces") { try missing.graph.sortTopologically() }
        var output = ToyGraph()
        output.output("nowhere")
        expectError("nothing produces the output \"nowhere\"") { try output.graph.sortTopologically() }
    }
}
