import GraphRuntime

/// BatchNormalization that no convolution takes in, and the activation behind it: one pass over memory in the place of two, in networks that
/// normalise before they convolve (He et al., "Identity Mappings in Deep Residual Networks", 2016; DenseNet).
struct BatchNormalizationActivationFusion: Fusion {
    let name = "BatchNormalization+activation"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let normalized = editor.nodes[node].inputs.first ?? nil, let producer = editor.producer(of: normalized),
            var norm = editor.operation(producer, as: BatchNormalization.self), !norm.isTraining, norm.activation == nil,
            editor.isFloat(normalized), let activation = editor.activation(node), let output = editor.output(node),
            editor.soleReader(of: normalized) == node
        else { return nil }
        norm.activation = activation
        return FusionMatch(
            nodes: [producer, node], type: "BatchNormalization", operation: norm, inputs: editor.nodes[producer].inputs,
            outputs: [output])
    }
}
