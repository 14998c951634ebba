import GraphRuntime

/// Pictures of bytes between operators that can read and write them channels last lie so, without a change of shape: none of these
/// operators turns what the next one would turn back.
struct ChannelsLastFusion: Fusion {
    let name = "channels last"

    /// What the names of values that lie so end in: those of the file would promise another order to who looks at them.
    private static let suffix = " (channels last)"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        let placing = Self.placing(of: node, editor)
        guard placing != nil || editor.operation(node, as: QuantizedSum.self) != nil,
            let input = editor.nodes[node].inputs[0], let output = editor.output(node)
        else { return nil }
        let values = Self.values(in: editor)
        let name = editor.graph.values[output].name
        if values.contains(output), !name.hasSuffix(Self.suffix) { editor.rename(output, to: name + Self.suffix) }
        guard let placing, placing == ChannelPlacing() else { return nil }
        let wanted = ChannelPlacing(inputIsLast: values.contains(input), outputIsLast: values.contains(output))
        guard wanted != placing, let operation = Self.operation(of: node, wanted, editor) else { return nil }
        return FusionMatch(
            nodes: [node], type: editor.nodes[node].identity.type, operation: operation, inputs: editor.nodes[node].inputs,
            outputs: [output])
    }

    /// How the elements of a node's input and output lie; nil for operators that have no choice.
    private static func placing(of node: Int, _ editor: GraphEditor) -> ChannelPlacing? {
        if let conv = editor.operation(node, as: QLinearConv.self), !conv.hasChannelsLast { return conv.placing }
        return editor.operation(node, as: QuantizedMaxPool.self)?.placing
    }

    private static func operation(of node: Int, _ placing: ChannelPlacing, _ editor: GraphEditor) -> (any Operator)? {
        if var conv = editor.operation(node, as: QLinearConv.self) {
            conv.placing = placing
            return conv
        }
        if var pool = editor.operation(node, as: QuantizedMaxPool.self) {
            pool.placing = placing
            return pool
        }
        return nil
    }

    /// The values that lie channels last: those that only such operators write and read, and sums of them.
    private static func values(in editor: GraphEditor) -> Set<ValueID> {
        var sums: [(inputs: [ValueID], output: ValueID)] = []
        var written = Set<ValueID>()
        for node in editor.nodes.indices {
            guard let output = editor.output(node) else { continue }
            if editor.operation(node, as: QuantizedSum.self) != nil, let a = editor.nodes[node].inputs[0],
                let b = editor.nodes[node].inputs[3]
            {
                sums.append(([a, b], output))
                written.insert(output)
            } else if placing(of: node, editor) != nil {
                written.insert(output)
            }
        }
        let outputs = Set(editor.graph.outputs)
        var values = written.filter { id in
            !outputs.contains(id)
                && editor.readers(of: id).allSatisfy { reader in
                    editor.operation(reader, as: QuantizedSum.self) != nil
                        || placing(of: reader, editor) != nil && editor.nodes[reader].inputs[0] == id
                }
        }
        // What a sum reads and writes lies in one order.
        var changed = true
        while changed {
            changed = false
            for sum in sums {
                let parts = sum.inputs + [sum.output]
                if parts.contains(where: values.contains), !parts.allSatisfy(values.contains) {
                    values.subtract(parts)
                    changed = true
                }
            }
        }
        return values
    }
}
