import GraphRuntime
import Ops
import Testing

/// Patterns that look like those of fusions and aren't: the report names the first condition that isn't met.
@Suite struct FusionDiagnosticsTests {
    private func misses(_ graph: FusionGraph, x: ValueID, outputs: [ValueID]) throws -> [FusionReport.Miss] {
        var graph = graph.graph
        graph.outputs = outputs
        let session = try Session(
            graph: graph, library: StandardOperators.library, options: SessionOptions(threads: ThreadPool(threadCount: 1)))
        return try session.inspect([graph.values[x].name: pseudoRandom([2, 4], seed: 1)]).fusions.misses
    }

    @Test func sigmoidReadTwice() throws {
        var graph = FusionGraph()
        let x = try graph.input([2, 4])
        let gate = graph.node("Sigmoid", x)
        let product = graph.node("Mul", x, gate)
        let sum = graph.node("Add", gate, product)
        let found = try misses(graph, x: x, outputs: [sum])
        #expect(found.contains { $0.fusion == "SiLU" && $0.reason.contains("is also read by Add-17") }, "\(found)")
    }

    @Test func biasOfAnotherShape() throws {
        var graph = FusionGraph()
        let x = try graph.input([2, 4])
        let product = graph.node("MatMul", x, try graph.weights([4, 3]))
        let sum = graph.node("Add", product, try graph.weights([2, 3]))
        let found = try misses(graph, x: x, outputs: [sum])
        #expect(
            found.contains {
                $0.fusion == "MatMul+bias"
                    && $0.reason == "the addend has shape [2, 3], expected one number for each of 3 columns"
            }, "\(found)")
    }

    @Test func errorFunctionAlone() throws {
        var graph = FusionGraph()
        let x = try graph.input([2, 4])
        let output = graph.node("Erf", x)
        let found = try misses(graph, x: x, outputs: [output])
        #expect(found.map(\.reason) == ["no 1 is added to the error function"])
    }

    @Test func nothingToSay() throws {
        var graph = FusionGraph()
        let x = try graph.input([2, 4])
        let gate = graph.node("Sigmoid", x)
        let product = graph.node("Mul", x, gate)
        #expect(try misses(graph, x: x, outputs: [product]).isEmpty)
    }
}
