import Foundation
import GraphRuntime
import ONNXLoader
import Ops

/// Runs a model with an operator of its own: `swift run -c release CustomOperator [model.onnx]`. Without a model it builds a graph of
/// one node.
@main
enum Main {
    static func main() throws {
        // All that the project has, and one more; `OperatorRegistry([…], newestOpset: […])` begins with none.
        var registry = StandardOperators.library.registry
        registry.add(SquaredDistance.definition)
        let library = OperatorLibrary(registry: registry, fusions: StandardOperators.fusions)

        let graph =
            if CommandLine.arguments.count > 1 {
                try ONNXModel(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1])).graph
            } else {
                example()
            }
        let session = try Session(graph: graph, library: library)
        let rows = try Tensor([0, 0, 3, 4, 1, 1] as [Float], shape: Shape([3, 2]))
        let results = try session.run(["x": rows, "centre": Tensor([0, 0] as [Float])])
        let distances = try results["y"]?.array(of: Float.self) ?? []
        print(distances.map { "\($0)" }.joined(separator: " "))
    }

    private static func example() -> Graph {
        var graph = Graph(name: "example")
        let x = graph.addValue(ValueDeclaration(name: "x"))
        let centre = graph.addValue(ValueDeclaration(name: "centre"))
        let y = graph.addValue(ValueDeclaration(name: "y"))
        graph.inputs = [x, centre]
        graph.outputs = [y]
        graph.nodes = [
            Node(
                name: "distance", identity: OperatorIdentity(domain: "org.example", type: "SquaredDistance", version: 1),
                inputs: [x, centre], outputs: [y], attributes: NodeAttributes(["scale": .float(2)]))
        ]
        return graph
    }
}
