import GraphRuntime

/// a · GELU(b), where a and b are the first and the second half of the last axis of one value, cut by Slice or by Split.
struct GEGLUFusion: Fusion {
    let name = "GEGLU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (values, activated) in editor.orders(node, .multiply) {
            guard let gelu = editor.producer(of: activated),
                let function = editor.operation(gelu, as: Activation.self)?.function,
                function == .gelu || function == .geluHalvedLast,
                let gate = editor.nodes[gelu].inputs.first ?? nil, let output = editor.output(node),
                editor.isSameShape(values, output),
                let first = Half(values, editor), let second = Half(gate, editor), first.source == second.source,
                first.isFirst, !second.isFirst, editor.isFloat(first.source)
            else { continue }
            return FusionMatch(
                nodes: Array(Set([first.node, second.node])) + [gelu, node], type: name,
                operation: GEGLU(halvesLast: function == .geluHalvedLast),
                inputs: [first.source], outputs: [output])
        }
        return nil
    }
}

/// One of the two halves of the last axis of a value.
private struct Half {
    let source: ValueID
    let node: Int
    let isFirst: Bool

    init?(_ value: ValueID, _ editor: GraphEditor) {
        guard let producer = editor.producer(of: value), let source = editor.nodes[producer].inputs.first ?? nil,
            let shape = editor.shape(source), let width = shape.dimensions.last, width > 0, width % 2 == 0,
            let part = editor.shape(value), let halved = try? shape.replacing(shape.rank - 1, with: width / 2), part == halved
        else { return nil }
        self.source = source
        node = producer
        if let split = editor.operation(producer, as: Split.self) {
            guard (try? shape.axis(split.axis)) == shape.rank - 1, editor.nodes[producer].outputs.count == 2 else { return nil }
            isFirst = editor.nodes[producer].outputs[0] == value
        } else if let slice = editor.operation(producer, as: Slice.self) {
            let facts = editor.nodes[producer].inputs.map { $0.map { editor.fact($0) } }
            guard let slices = try? slice.slices(InferenceInputs(facts)), let last = slices.last,
                slices.dropLast().allSatisfy({ $0.start == 0 && $0.step == 1 }), last.step == 1,
                last.start == 0 || last.start == width / 2
            else { return nil }
            isFirst = last.start == 0
        } else {
            return nil
        }
    }
}
