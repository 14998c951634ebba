import GraphRuntime

/// The layers of a CLIP text encoder, found in its graph by what they compute, since exporters give them names of their own.
///
/// A layer adds twice to the states that run through it, what its attention makes of the normalised states and then what its two dense
/// layers make of them. So the values that are normalised are, in order, those before and in the middle of each layer, and at last those
/// after all of them; each is the sum of the one before and something else.
enum TextEncoderLayers {
    /// Where the states are normalised.
    private struct Normalisation {
        /// The states.
        let value: ValueID
        /// Nodes that read them, and at which input.
        let readers: [(node: Int, input: Int)]
    }

    /// Lets the last normalisation take the states before the last layers.
    ///
    /// - Parameters:
    ///   - count: layers to leave out, 1 or more.
    ///   - title: what messages call the graph.
    /// - Throws: ``PipelineError`` where the layers aren't found, or are too few.
    static func leaveOut(_ count: Int, of graph: inout Graph, title: String) throws {
        putSumsApart(&graph)
        let found = normalisations(graph)
        guard let last = found.last, found.count >= 3, found.count % 2 == 1, isChain(found.map(\.value), graph) else {
            throw PipelineError(
                "The layers of the \(title) aren't found in its graph, which has \(found.count) normalisations of states that add up: its last ones can't "
                    + "be left out (clip skip).", kind: .unsupportedModel)
        }
        let layers = found.count / 2
        guard count < layers else { throw tooMany(count, layers: layers, title: title) }
        let value = found[found.count - 1 - 2 * count].value
        for (node, input) in last.readers { graph.nodes[node].inputs[input] = value }
    }

    /// What is said of a clip skip that leaves no layer.
    static func tooMany(_ count: Int, layers: Int, title: String) -> PipelineError {
        PipelineError(
            "The clip skip is \(count + 1), and the \(title) has \(layers) layers: expected 1 to \(layers).",
            kind: .invalidRequest)
    }

    /// Writes sums that are normalised as they are added (SkipLayerNormalization, of ONNX Runtime's optimiser) as an addition and a
    /// normalisation. A bias belongs to the first operand, which the optimiser took it from.
    private static func putSumsApart(_ graph: inout Graph) {
        var result: [Node] = []
        for (index, node) in graph.nodes.enumerated() {
            func input(_ place: Int) -> ValueID? { node.inputs.count > place ? node.inputs[place] : nil }
            func output(_ place: Int) -> ValueID? { node.outputs.count > place ? node.outputs[place] : nil }
            guard node.identity.domain == "com.microsoft", node.identity.type == "SkipLayerNormalization",
                var first = input(0), let second = input(1), let scale = input(2), let normalised = output(0),
                output(1) == nil, output(2) == nil
            else {
                result.append(node)
                continue
            }
            func add(_ a: ValueID, _ b: ValueID, as sum: ValueID) {
                result.append(
                    Node(
                        name: "\(node.name)/Add", identity: OperatorIdentity(type: "Add", version: 14), inputs: [a, b],
                        outputs: [sum]))
            }
            if let bias = input(4) {
                let sum = graph.addValue(ValueDeclaration(name: "sd-onnx.biased.\(index)"))
                add(first, bias, as: sum)
                first = sum
            }
            let sum = output(3) ?? graph.addValue(ValueDeclaration(name: "sd-onnx.sum.\(index)"))
            add(first, second, as: sum)
            // Without the attribute it is 1e-12, other than that of LayerNormalization.
            let epsilon = node.attributes["epsilon"] ?? .float(1e-12)
            result.append(
                Node(
                    name: node.name, identity: OperatorIdentity(type: "LayerNormalization", version: 17),
                    inputs: [sum, scale, input(3)], outputs: [normalised],
                    attributes: NodeAttributes(["epsilon": epsilon])))
        }
        graph.nodes = result
    }

    /// In the order of the graph; exporters up to operator set 16 write a normalisation as its arithmetic, which begins with the
    /// difference from the mean.
    private static func normalisations(_ graph: Graph) -> [Normalisation] {
        let producers = producers(graph)
        var result: [Normalisation] = []
        for (index, node) in graph.nodes.enumerated() where node.identity.domain.isEmpty {
            guard let input = node.inputs.first ?? nil else { continue }
            var readers: [(node: Int, input: Int)]
            switch node.identity.type {
            case "LayerNormalization": readers = [(index, 0)]
            case "Sub":
                guard node.inputs.count == 2, let mean = node.inputs[1], let producer = producers[mean],
                    graph.nodes[producer].identity.type == "ReduceMean", graph.nodes[producer].inputs.first == input
                else { continue }
                readers = [(index, 0), (producer, 0)]
            default: continue
            }
            var value = input
            while let cast = producers[value], graph.nodes[cast].identity.type == "Cast",
                let source = graph.nodes[cast].inputs[0]
            {
                readers = [(cast, 0)]
                value = source
            }
            result.append(Normalisation(value: value, readers: readers))
        }
        return result
    }

    /// Whether each value is the sum of the one before and something else.
    private static func isChain(_ values: [ValueID], _ graph: Graph) -> Bool {
        let producers = producers(graph)
        return zip(values, values.dropFirst()).allSatisfy { before, after in
            guard let node = producers[after].map({ graph.nodes[$0] }), node.identity.type == "Add" else { return false }
            return node.inputs.contains { input in
                var value = input
                while value != before, let cast = value.flatMap({ producers[$0] }), graph.nodes[cast].identity.type == "Cast" {
                    value = graph.nodes[cast].inputs[0]
                }
                return value == before
            }
        }
    }

    /// The node that writes each value.
    private static func producers(_ graph: Graph) -> [ValueID: Int] {
        var result: [ValueID: Int] = [:]
        for (index, node) in graph.nodes.enumerated() { for case let value? in node.outputs { result[value] = index } }
        return result
    }
}
