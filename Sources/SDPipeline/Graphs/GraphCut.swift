import GraphRuntime

/// A U-Net's graph, cut at the hidden states that one of its skip connections joins: the deep part makes them, the shallow part takes them, the
/// latents and the timestep, and makes the prediction.
struct GraphCut: Sendable {
    /// The output of the whole graph, and the input of the shallow part, that the hidden states are: float32 [N, C, h, w].
    static let name = "sd-onnx.deep"

    private let connection: SkipConnections.Connection

    /// - Parameter branch: which connection, from 0 for the one next to the output.
    /// - Throws: ``PipelineError`` where there are fewer.
    init(_ connections: SkipConnections, branch: Int) throws {
        let count = connections.connections.count
        guard branch < count else {
            throw PipelineError(
                "The U-Net has \(count) skip connections, and the cache's branch is \(branch): expected 0 to \(count - 1).",
                kind: .invalidRequest)
        }
        connection = connections.connections[count - 1 - branch]
    }

    /// Has the graph answer the hidden states beside the prediction.
    func addOutput(to graph: inout Graph) throws {
        let node = try SkipConnections.node(of: connection, in: graph)
        guard let hidden = graph.nodes[node].inputs[connection.hiddenInput] else { return }
        var insertion = GraphInsertion(graph, prefix: Self.name)
        let output = insertion.add("Cast", 13, [hidden], ["to": .int(1)], before: node)
        graph = insertion.finished()
        graph.values[output].name = Self.name
        graph.outputs.append(output)
    }

    /// Leaves the shallow part of a graph, with whatever else changed in it.
    func keepShallow(in graph: inout Graph) throws {
        let node = try SkipConnections.node(of: connection, in: graph)
        guard let skip = graph.nodes[node].inputs[connection.skipInput] else { return }
        var insertion = GraphInsertion(graph, prefix: Self.name)
        let hidden = insertion.input(Self.name, .tensor(.float32, [.unknown, .unknown, .unknown, .unknown]))
        let like = insertion.add("CastLike", 15, [hidden, skip], before: node)
        insertion.replace(input: connection.hiddenInput, ofNode: node, by: like)
        graph = insertion.finished()
        graph.outputs.removeAll { graph.values[$0].name == Self.name }
        graph.removeDeadCode()
    }
}
