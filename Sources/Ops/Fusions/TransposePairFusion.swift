import GraphRuntime

/// Two Transposes of which the second undoes the first: operators on pictures with their channels last bring one at each end.
struct TransposePairFusion: Fusion {
    let name = "Transpose+Transpose"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let second = editor.operation(node, as: Transpose.self), let between = editor.nodes[node].inputs[0],
            let producer = editor.producer(of: between), let first = editor.operation(producer, as: Transpose.self),
            editor.soleReader(of: between) == node, let rank = editor.shape(between)?.rank,
            let source = editor.nodes[producer].inputs[0], let output = editor.output(node)
        else { return nil }
        let (inner, outer) = (try first.axes(rank: rank), try second.axes(rank: rank))
        let axes = outer.map { inner[$0] }
        guard axes == Array(0..<rank) else { return nil }
        // With all axes in their places it is a view of its input.
        return FusionMatch(
            nodes: [producer, node], type: "Transpose", operation: Transpose(permutation: axes), inputs: [source],
            outputs: [output])
    }
}
