import GraphRuntime

/// A convolution and an Add of a computed value of its shape: that is added to the sums while they are in cache.
struct ConvResidualFusion: Fusion {
    let name = "Conv+residual"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (product, residual) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), var conv = editor.operation(producer, as: Conv.self),
                !conv.isFused, editor.isFloat(product), editor.isFloat(residual), editor.constant(residual) == nil,
                residual != product, let shape = editor.shape(product), editor.shape(residual) == shape,
                editor.soleReader(of: product) == node, let output = editor.output(node)
            else { continue }
            conv.hasResidual = true
            let inputs = editor.nodes[producer].inputs
            return FusionMatch(
                nodes: [producer, node], type: conv.fusedType, operation: conv,
                inputs: [inputs[0], inputs[1], inputs.count > 2 ? inputs[2] : nil, residual], outputs: [output])
        }
        return nil
    }
}

/// A convolution that applies an activation to its sums while they are in cache.
protocol ActivatedConvolution: Operator {
    var activation: FusedActivation? { get set }
    /// For graphs and profiles: `Conv+residual+Relu`.
    var fusedType: String { get }
}

/// A convolution, with a residual or without, or a transposed one, and the activation behind it.
struct ConvActivationFusion: Fusion {
    let name = "Conv+activation"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let product = editor.nodes[node].inputs.first ?? nil, let producer = editor.producer(of: product),
            var conv = editor.nodes[producer].operation as? any ActivatedConvolution, conv.activation == nil,
            editor.isFloat(product), let activation = editor.activation(node), let output = editor.output(node),
            editor.soleReader(of: product) == node
        else { return nil }
        conv.activation = activation
        return FusionMatch(
            nodes: [producer, node], type: conv.fusedType, operation: conv, inputs: editor.nodes[producer].inputs,
            outputs: [output])
    }
}

/// A convolution with an activation, and a product or sum with one number for all channels behind that.
struct ConvActivationScaleFusion: Fusion {
    let name = "Conv+activation+scale"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for function in [ArithmeticFunction.multiply, .add] {
            for (product, number) in editor.orders(node, function) {
                guard let producer = editor.producer(of: product), var conv = editor.operation(producer, as: Conv.self),
                    conv.activation != nil, editor.isFloat(product), let value = editor.scalar(number),
                    editor.soleReader(of: product) == node, editor.isSameShape(product, output)
                else { continue }
                // The sum comes after the product.
                guard function == .add ? conv.shift == nil : conv.scale == nil && conv.shift == nil else { continue }
                if function == .add { conv.shift = value } else { conv.scale = value }
                return FusionMatch(
                    nodes: [producer, node], type: conv.fusedType, operation: conv,
                    inputs: editor.nodes[producer].inputs, outputs: [output])
            }
        }
        return nil
    }
}

extension GraphEditor {
    /// The activation that a node applies to its first input, where it is one that a convolution can apply.
    func activation(_ node: Int) -> FusedActivation? {
        if let activation = operation(node, as: Activation.self) { return .function(activation.function) }
        if let activation = operation(node, as: ParametricActivation.self) {
            return .parametric(activation.function, a: activation.a, b: activation.b)
        }
        if let bounds = clipBounds(node) { return .clip(bounds.least, bounds.most) }
        if input(node, function: "Tanh") != nil { return .tanh }
        return nil
    }
}
