import GraphRuntime

/// A Pad of zeros around pictures, and the convolution that reads them alone: zeros that a convolution sees without their being written,
/// as what comes from TensorFlow pads on one side more than on the other.
struct PadConvFusion: Fusion {
    let name = "Pad+Conv"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard var conv = editor.operation(node, as: Conv.self), [.notSet, .valid].contains(conv.attributes.autoPad),
            let padded = editor.nodes[node].inputs[0], editor.soleReader(of: padded) == node,
            let pad = editor.producer(of: padded), let output = editor.output(node),
            let source = editor.nodes[pad].inputs.first ?? nil, let pads = spatialPads(pad, source, editor)
        else { return nil }
        let given = conv.attributes.autoPad == .valid ? [] : conv.attributes.pads
        guard given.isEmpty || given.count == pads.count else { return nil }
        conv.attributes.autoPad = .notSet
        conv.attributes.pads = given.isEmpty ? pads : zip(given, pads).map { $0 + $1 }
        return FusionMatch(
            nodes: [pad, node], type: "Conv", operation: conv, inputs: [source] + editor.nodes[node].inputs.dropFirst(),
            outputs: [output])
    }

    /// The zeros that a Pad puts before all spatial axes, then those behind them; nil where it does something else.
    private func spatialPads(_ node: Int, _ source: ValueID, _ editor: GraphEditor) -> [Int]? {
        guard let pad = editor.operation(node, as: Pad.self), pad.mode == .constant, pad.constant == 0,
            let shape = editor.shape(source), shape.rank >= 3
        else { return nil }
        let inputs = editor.nodes[node].inputs
        func integers(_ index: Int) -> [Int]? {
            editor.constant(index < inputs.count ? inputs[index] : nil).flatMap { try? $0.integers() }
        }
        if inputs.count > 2, let fill = inputs[2], editor.floats(fill) != [0] { return nil }
        if inputs.count > 3, inputs[3] != nil, integers(3) == nil { return nil }
        guard let given = pad.pads ?? integers(1), let pads = try? Pad.pads(given, axes: integers(3), shape: shape),
            pads.allSatisfy({ $0.before >= 0 && $0.after >= 0 }), pads[..<2].allSatisfy({ $0 == (0, 0) })
        else { return nil }
        return pads[2...].map(\.before) + pads[2...].map(\.after)
    }
}
