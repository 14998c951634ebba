import GraphRuntime

/// GroupNorm as exporters without the operator write it: Reshape to [N, groups, -1], InstanceNormalization, Reshape back, Mul by γ
/// and Add of β per channel (Wu and He, "Group Normalization", 2018).
struct GroupNormalizationFusion: Fusion {
    let name = "GroupNormalization"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for (product, beta) in editor.orders(node, .add) {
            guard let multiply = editor.producer(of: product) else { continue }
            for (restored, gamma) in editor.orders(multiply, .multiply) {
                if let found = try match(node, multiply, restored, gamma: gamma, beta: beta, output: output, in: &editor) {
                    return found
                }
            }
        }
        return nil
    }

    private func match(
        _ node: Int, _ multiply: Int, _ restored: ValueID, gamma: ValueID, beta: ValueID, output: ValueID,
        in editor: inout GraphEditor
    ) throws -> FusionMatch? {
        guard let back = editor.producer(of: restored), let normalised = editor.input(back, as: Reshape.self),
            let instance = editor.producer(of: normalised),
            let normalization = editor.operation(instance, as: GroupNormalization.self), normalization.numGroups == nil,
            let grouped = editor.nodes[instance].inputs.first ?? nil, let forth = editor.producer(of: grouped),
            let x = editor.input(forth, as: Reshape.self), editor.isFloat(x),
            let shape = editor.shape(x), let groupShape = editor.shape(grouped), shape.rank >= 2,
            editor.shape(restored) == shape, editor.shape(output) == shape,
            groupShape.rank == 3, groupShape[0] == shape[0], groupShape[1] > 0, shape[1] % groupShape[1] == 0
        else { return nil }
        let (channels, groups) = (shape[1], groupShape[1])
        guard let groupScale = editor.floats(editor.nodes[instance].inputs[1]), groupScale.count == groups,
            let groupBias = editor.floats(editor.nodes[instance].inputs[2]), groupBias.count == groups,
            let scale = editor.channelConstant(gamma, channels: channels, rank: shape.rank),
            let bias = editor.channelConstant(beta, channels: channels, rank: shape.rank)
        else { return nil }
        // Factors and addends that are multiplied ahead of the run may not leave float32's range before the run would.
        guard normalization.epsilon >= 1e-20, (scale + bias).allSatisfy({ abs($0) <= 1e18 }),
            (groupScale + groupBias).allSatisfy({ $0 == 0 || (1e-9...1e9).contains(abs($0)) })
        else { return nil }
        // Each group's own scale and bias, 1 and 0 in practice, come before those of the channels.
        let size = channels / groups
        let fusedScale = (0..<channels).map { groupScale[$0 / size] * scale[$0] }
        let fusedBias = (0..<channels).map { groupBias[$0 / size] * scale[$0] + bias[$0] }
        let label = editor.nodes[node].name
        return FusionMatch(
            nodes: [forth, instance, back, multiply, node], type: name,
            operation: GroupNormalization(numGroups: groups, epsilon: normalization.epsilon),
            inputs: [
                x, editor.addConstant(try Tensor(fusedScale), name: label + "/scale"),
                editor.addConstant(try Tensor(fusedBias), name: label + "/bias"),
            ],
            outputs: [output])
    }
}

/// GroupNorm followed by SiLU, in the passes over memory that the first alone takes.
struct GroupNormalizationSiLUFusion: Fusion {
    let name = "GroupNormalization+SiLU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let silu = editor.operation(node, as: ParametricActivation.self), silu.function == .swish, silu.a == 1,
            let input = editor.nodes[node].inputs.first ?? nil, let producer = editor.producer(of: input),
            var operation = editor.operation(producer, as: GroupNormalization.self), !operation.hasSiLU,
            let output = editor.output(node), editor.isFloat(input)
        else { return nil }
        operation.hasSiLU = true
        return FusionMatch(
            nodes: [producer, node], type: name, operation: operation, inputs: editor.nodes[producer].inputs, outputs: [output])
    }
}
