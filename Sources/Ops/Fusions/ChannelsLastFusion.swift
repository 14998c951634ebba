import GraphRuntime

/// Pictures between convolutions of bytes, and other operators that can read and write them channels last, lie so, without a change of
/// shape: none of these operators turns what the next one would turn back. They are of bytes, or of float32 that the next convolution's
/// DynamicQuantizeLinear reads.
struct ChannelsLastFusion: Fusion {
    let name = "channels last"
    /// The values that lie so.
    private var values: Set<ValueID> = []

    /// What the names of values that lie so end in: those of the file would promise another order to who looks at them.
    private static let suffix = " (channels last)"

    func prepared(for editor: GraphEditor) -> any Fusion {
        var result = self
        result.values = Self.values(in: editor)
        return result
    }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        let placing = Self.placing(of: node, editor)
        guard placing != nil || Self.elementwiseInputs(of: node, editor) != nil,
            let input = editor.nodes[node].inputs[0], let output = editor.output(node)
        else { return nil }
        let name = editor.graph.values[output].name
        if values.contains(output) {
            if !name.hasSuffix(Self.suffix) { editor.rename(output, to: name + Self.suffix) }
            if let operation = Self.elementwiseOperation(of: node, editor) {
                return Self.match(node, operation, output, editor)
            }
        }
        guard let placing, placing == ChannelPlacing() else { return nil }
        let wanted = ChannelPlacing(inputIsLast: values.contains(input), outputIsLast: values.contains(output))
        guard wanted != placing, let operation = Self.operation(of: node, wanted, editor) else { return nil }
        return Self.match(node, operation, output, editor)
    }

    private static func match(
        _ node: Int, _ operation: any Operator, _ output: ValueID, _ editor: GraphEditor
    ) -> FusionMatch {
        FusionMatch(
            nodes: [node], type: editor.nodes[node].identity.type, operation: operation, inputs: editor.nodes[node].inputs,
            outputs: [output])
    }

    /// An operator that must know how elements lie that it reads and writes in one order; nil where it is known or doesn't matter.
    private static func elementwiseOperation(of node: Int, _ editor: GraphEditor) -> (any Operator)? {
        if var concat = editor.operation(node, as: QuantizedConcat.self), !concat.isLast {
            concat.isLast = true
            return concat
        }
        if var product = editor.operation(node, as: QuantizedProduct.self), !product.isLast {
            product.isLast = true
            return product
        }
        return nil
    }

    /// How the elements of a node's input and output lie; nil for operators that have no choice.
    private static func placing(of node: Int, _ editor: GraphEditor) -> ChannelPlacing? {
        if let conv = editor.operation(node, as: QLinearConv.self), !conv.hasChannelsLast { return conv.placing }
        if let conv = editor.operation(node, as: ConvInteger.self) { return conv.placing }
        if let mean = editor.operation(node, as: QuantizedGlobalAverage.self) {
            return ChannelPlacing(inputIsLast: mean.isLast)
        }
        return editor.operation(node, as: QuantizedMaxPool.self)?.placing
    }

    private static func operation(of node: Int, _ placing: ChannelPlacing, _ editor: GraphEditor) -> (any Operator)? {
        if var conv = editor.operation(node, as: QLinearConv.self) {
            conv.placing = placing
            return conv
        }
        if var conv = editor.operation(node, as: ConvInteger.self) {
            conv.placing = placing
            return conv
        }
        if var mean = editor.operation(node, as: QuantizedGlobalAverage.self), placing.inputIsLast {
            mean.isLast = true
            return mean
        }
        if var pool = editor.operation(node, as: QuantizedMaxPool.self) {
            pool.placing = placing
            return pool
        }
        return nil
    }

    /// The values that an operator reads element by element, in whichever order they lie; nil for other operators.
    private static func elementwiseInputs(of node: Int, _ editor: GraphEditor) -> [ValueID]? {
        let inputs = editor.nodes[node].inputs
        if editor.operation(node, as: DynamicQuantizeLinear.self) != nil { return inputs[0].map { [$0] } }
        if editor.isElementwise(node) {
            // Numbers for all elements have no order; those for channels have one only.
            let read = inputs.compactMap { $0 }.filter { editor.shape($0)?.count != 1 }
            guard let output = editor.output(node), read.allSatisfy({ editor.isSameShape($0, output) }) else { return nil }
            return read.isEmpty ? nil : read
        }
        if let concat = editor.operation(node, as: QuantizedConcat.self), concat.axis == 1 { return inputs.compactMap { $0 } }
        if editor.operation(node, as: QuantizedProduct.self) != nil, let a = inputs[0], let b = inputs[3] {
            // Numbers for channels lie in one order only.
            return editor.isSameShape(a, b) ? [a, b] : [a]
        }
        guard editor.operation(node, as: QuantizedSum.self) != nil, let a = inputs[0], let b = inputs[3],
            editor.isSameShape(a, b)
        else { return nil }
        return [a, b]
    }

    /// The values that lie channels last: those that only such operators write and read, and what is computed from them element by element.
    private static func values(in editor: GraphEditor) -> Set<ValueID> {
        guard editor.nodes.indices.contains(where: { placing(of: $0, editor) != nil }) else { return [] }
        var elementwise: [(inputs: [ValueID], output: ValueID)] = []
        var written = Set<ValueID>()
        for node in editor.nodes.indices {
            guard let output = editor.output(node) else { continue }
            if let inputs = elementwiseInputs(of: node, editor) {
                elementwise.append((inputs, output))
                written.insert(output)
            } else if placing(of: node, editor) != nil {
                written.insert(output)
            }
        }
        let outputs = Set(editor.graph.outputs)
        var values = written.filter { id in
            !outputs.contains(id)
                && editor.readers(of: id).allSatisfy { reader in
                    elementwiseInputs(of: reader, editor)?.contains(id) == true
                        || placing(of: reader, editor) != nil && editor.nodes[reader].inputs[0] == id
                            && !editor.nodes[reader].inputs.dropFirst().contains(id)
                }
        }
        // What is read and written element by element lies in one order.
        var changed = true
        while changed {
            changed = false
            elementwise.reverse()
            for node in elementwise {
                let parts = node.inputs + [node.output]
                if parts.contains(where: values.contains), !parts.allSatisfy(values.contains) {
                    values.subtract(parts)
                    changed = true
                }
            }
        }
        return values
    }
}
