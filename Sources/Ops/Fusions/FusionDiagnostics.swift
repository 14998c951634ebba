import GraphRuntime

// Why patterns that look like those of the fusions weren't theirs. Each looks at the node at a pattern's heart that was left over, and
// names the first condition that isn't met; nodes that stand in no such surroundings have no reason.

extension AttentionFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        guard let softmax = editor.operation(node, as: Softmax.self), let probabilities = editor.output(node) else {
            return nil
        }
        let readers = editor.readers(of: probabilities)
        guard let product = readers.first(where: { editor.operation($0, as: MatMul.self) != nil }),
            editor.nodes[product].inputs.first == probabilities, let value = editor.nodes[product].inputs[1],
            let scores = scoreProduct(before: editor.nodes[node].inputs.first ?? nil, editor)
        else { return nil }
        if softmax.isLogarithm { return "it is a logarithm of a softmax" }
        if let other = readers.first(where: { $0 != product }) {
            return "its probabilities are also read by \(editor.nodes[other].title)"
        }
        guard editor.isFloat(value) else { return "the values are of type \(text(editor.fact(value).dtype))" }
        guard let shape = editor.shape(value) else { return "the shape of the values is known at run time only" }
        guard shape.rank == 3 || shape.rank == 4 else { return "the values have \(shape.rank) axes, expected 3 or 4" }
        guard let query = editor.shape(editor.nodes[scores].inputs[0]), let key = editor.shape(editor.nodes[scores].inputs[1])
        else {
            return "the shapes of queries or keys are known at run time only"
        }
        let lead = shape.dimensions.dropLast(2)
        guard query.dimensions.dropLast(2) == lead, key.dimensions.dropLast(2) == lead else {
            return "queries \(query), keys \(key) and values \(shape) don't have the same batch and heads"
        }
        guard let transpose = editor.producer(of: editor.nodes[scores].inputs[1]),
            editor.operation(transpose, as: Transpose.self) != nil || editor.operation(transpose, as: Reshape.self) != nil
                || editor.operation(transpose, as: BinaryArithmetic.self) != nil
        else { return "the keys aren't a transpose of rows" }
        return "the factors, the mask or the casts around it have another form"
    }

    /// The product that a softmax is taken of, behind factors, a mask and casts.
    private func scoreProduct(before id: ValueID?, _ editor: GraphEditor) -> Int? {
        var current = id
        for _ in 0..<6 {
            guard let node = editor.producer(of: current) else { return nil }
            if editor.operation(node, as: MatMul.self) != nil { return node }
            guard editor.operation(node, as: BinaryArithmetic.self) != nil || editor.operation(node, as: Cast.self) != nil
            else {
                return nil
            }
            current = editor.nodes[node].inputs.compactMap { $0 }.first { editor.producer(of: $0) != nil }
        }
        return nil
    }
}

extension SiLUFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        guard editor.operation(node, as: Activation.self)?.function == .sigmoid, let gate = editor.output(node),
            let product = editor.readers(of: gate).first(where: { editor.operands($0, .multiply) != nil })
        else { return nil }
        if let other = editor.readers(of: gate).first(where: { $0 != product }) {
            return "the sigmoid is also read by \(editor.nodes[other].title)"
        }
        guard editor.isFloat(gate) else { return "it is of type \(text(editor.fact(gate).dtype))" }
        return "the factor beside the sigmoid isn't what the sigmoid is taken of"
    }
}

extension GELUFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        guard let scaled = editor.input(node, function: "Erf"), let output = editor.output(node) else { return nil }
        guard let sum = editor.readers(of: output).first, editor.operand(sum, .add, beside: 1) != nil else {
            return "no 1 is added to the error function"
        }
        guard let scale = editor.producer(of: scaled),
            editor.operands(scale, .divide).map({ editor.isScalar($0.1, Float(2).squareRoot()) }) == true
                || editor.operand(scale, .multiply, beside: Float(0.5).squareRoot()) != nil
        else { return "the error function isn't taken of x / √2" }
        return "the factors x and 1/2 stand in no known order"
    }
}

extension GroupNormalizationFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        guard let operation = editor.operation(node, as: GroupNormalization.self), operation.numGroups == nil,
            let grouped = editor.nodes[node].inputs.first ?? nil, let forth = editor.producer(of: grouped),
            let x = editor.input(forth, as: Reshape.self), let normalised = editor.output(node)
        else { return nil }
        guard let back = editor.soleReader(of: normalised), editor.operation(back, as: Reshape.self) != nil,
            let restored = editor.output(back)
        else { return "no Reshape back to the picture follows, or something else reads the result too" }
        guard let shape = editor.shape(x), editor.shape(restored) == shape else {
            return "the shape before the groups isn't that behind them"
        }
        guard let groups = editor.shape(grouped), groups.rank == 3, groups[1] > 0, shape.rank >= 2, shape[1] % groups[1] == 0
        else {
            return "the groups aren't of whole channels"
        }
        guard let multiply = editor.soleReader(of: restored), editor.operands(multiply, .multiply) != nil else {
            return "no factor for each channel follows, or something else reads the result too"
        }
        guard let gamma = editor.orders(multiply, .multiply).first(where: { $0.0 == restored })?.1,
            editor.channelConstant(gamma, channels: shape[1], rank: shape.rank) != nil
        else { return "the factor isn't a constant of one number for each channel" }
        return "no constant of one number for each channel is added behind the factor"
    }
}

extension GroupNormalizationSiLUFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        guard let operation = editor.operation(node, as: GroupNormalization.self), !operation.hasSiLU,
            let output = editor.output(node)
        else { return nil }
        let readers = editor.readers(of: output)
        guard let activation = readers.first(where: { editor.operation($0, as: ParametricActivation.self)?.function == .swish })
        else { return nil }
        if let other = readers.first(where: { $0 != activation }) {
            return "the norm without SiLU is also read by \(editor.nodes[other].title)"
        }
        if let silu = editor.operation(activation, as: ParametricActivation.self), silu.a != 1 {
            return "the activation behind it is x · sigmoid(\(silu.a) · x)"
        }
        return editor.isFloat(output) ? nil : "it is of type \(text(editor.fact(output).dtype))"
    }
}

extension LayerNormalizationFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        // The root of a mean and a small number, by which something is divided.
        guard let shifted = editor.input(node, function: "Sqrt"), let root = editor.output(node),
            let divide = editor.readers(of: root).first(where: { editor.operands($0, .divide)?.1 == root }),
            let add = editor.producer(of: shifted),
            let average = editor.orders(add, .add).compactMap({ editor.producer(of: $0.0) })
                .first(where: { editor.operation($0, as: Reduce.self)?.function == .mean })
        else { return nil }
        if let input = editor.nodes[average].inputs.first ?? nil, let shape = editor.shape(input),
            let output = editor.output(average), editor.shape(output)?.dimensions != shape.dimensions.dropLast() + [1]
        {
            return "the mean isn't over the last axis alone"
        }
        guard let normalised = editor.output(divide), let multiply = editor.soleReader(of: normalised),
            editor.operands(multiply, .multiply) != nil, let product = editor.output(multiply),
            let sum = editor.soleReader(of: product), editor.operands(sum, .add) != nil
        else { return "no factor and addend follow, or something between them is read elsewhere too" }
        return "factor and addend aren't constants of one number for each element of a row, or the deviation has another form"
    }
}

extension MatMulBiasFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        for (product, bias) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), let matMul = editor.operation(producer, as: MatMul.self),
                !matMul.hasBias, let offsets = editor.constant(bias)
            else { continue }
            guard editor.isFloat(product) else { return "the product is of type \(text(editor.fact(product).dtype))" }
            guard let shape = editor.shape(product), let columns = shape.dimensions.last else {
                return "the shape of the product is known at run time only"
            }
            guard offsets.count == columns else {
                return "the addend has shape \(offsets.shape), expected one number for each of \(columns) columns"
            }
            return "the product's operands have fewer than two axes, or the sum has another shape"
        }
        return nil
    }
}

extension ConvBiasFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        for (product, bias) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), editor.operation(producer, as: Conv.self) != nil,
                let offsets = editor.constant(bias)
            else { continue }
            if editor.nodes[producer].inputs.count > 2, editor.nodes[producer].inputs[2] != nil {
                return "the convolution has a bias already"
            }
            return "the addend has shape \(offsets.shape), expected one number for each channel"
        }
        return nil
    }
}

private func text(_ dtype: DType?) -> String { dtype.map { "\($0)" } ?? "unknown" }

extension GEGLUFusion {
    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        for (values, activated) in editor.orders(node, .multiply) {
            guard let gelu = editor.producer(of: activated),
                let function = editor.operation(gelu, as: Activation.self)?.function,
                function == .gelu || function == .geluHalvedLast,
                let first = editor.producer(of: values), isCut(first, editor),
                let second = editor.producer(of: editor.nodes[gelu].inputs.first ?? nil), isCut(second, editor)
            else { continue }
            guard editor.nodes[first].inputs.first == editor.nodes[second].inputs.first else {
                return "its factors are cut from two values"
            }
            return "its factors aren't the first and the second half of the last axis, or are read elsewhere"
        }
        return nil
    }

    private func isCut(_ node: Int, _ editor: GraphEditor) -> Bool {
        editor.operation(node, as: Slice.self) != nil || editor.operation(node, as: Split.self) != nil
    }
}
