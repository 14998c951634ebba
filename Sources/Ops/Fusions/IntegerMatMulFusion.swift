import GraphRuntime

/// MatMulInteger, a Cast to float32 and a Mul by the factors' scales, as onnxruntime.quantization writes a dynamically quantised
/// product: the sums are scaled while they are in cache.
struct IntegerMatMulScaleFusion: Fusion {
    let name = "MatMulInteger+scale"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (numbers, scale) in editor.orders(node, .multiply) {
            guard let cast = editor.producer(of: numbers), let sums = editor.input(cast, as: Cast.self),
                editor.isFloat(numbers), editor.isFloat(scale), let producer = editor.producer(of: sums),
                let product = editor.operation(producer, as: IntegerMatMul.self), !product.isScaled,
                let shape = editor.shape(sums), let factor = editor.shape(scale),
                factor.count == 1 || editor.isOfColumns(factor, shape), let output = editor.output(node),
                editor.shape(output) == shape
            else { continue }
            var inputs = editor.nodes[producer].inputs
            while inputs.count < 4 { inputs.append(nil) }
            return FusionMatch(
                nodes: [producer, cast, node], type: "MatMulInteger", operation: IntegerMatMul(isScaled: true),
                inputs: inputs + [scale], outputs: [output])
        }
        return nil
    }
}

/// ConvInteger, a Cast to float32 and a Mul by the scales of input and weights.
struct ConvIntegerScaleFusion: Fusion {
    let name = "ConvInteger+scale"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (numbers, scale) in editor.orders(node, .multiply) {
            guard let cast = editor.producer(of: numbers), let sums = editor.input(cast, as: Cast.self),
                editor.isFloat(numbers), editor.isFloat(scale), let producer = editor.producer(of: sums),
                let conv = editor.operation(producer, as: ConvInteger.self), !conv.isScaled,
                editor.shape(scale)?.count == 1, let output = editor.output(node),
                editor.isSameShape(sums, output)
            else { continue }
            var inputs = editor.nodes[producer].inputs
            while inputs.count < 4 { inputs.append(nil) }
            return FusionMatch(
                nodes: [producer, cast, node], type: "ConvInteger",
                operation: ConvInteger(attributes: conv.attributes, isScaled: true), inputs: inputs + [scale],
                outputs: [output])
        }
        return nil
    }
}

/// A scaled ConvInteger and an Add of one number for each channel.
struct ConvIntegerBiasFusion: Fusion {
    let name = "ConvInteger+bias"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (sum, bias) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: sum), var conv = editor.operation(producer, as: ConvInteger.self),
                conv.isScaled, !conv.hasBias, let shape = editor.shape(sum), editor.constant(bias)?.dtype == .float32,
                let values = editor.channelConstant(bias, channels: shape[1], rank: shape.rank),
                let output = editor.output(node), editor.shape(output) == shape
            else { continue }
            conv.hasBias = true
            let constant = editor.addConstant(try Tensor(values), name: editor.nodes[node].name + "/bias")
            return FusionMatch(
                nodes: [producer, node], type: "ConvInteger", operation: conv,
                inputs: editor.nodes[producer].inputs + [constant], outputs: [output])
        }
        return nil
    }
}

/// A scaled ConvInteger and the activation behind it.
struct ConvIntegerActivationFusion: Fusion {
    let name = "ConvInteger+activation"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let sum = editor.nodes[node].inputs.first ?? nil, let producer = editor.producer(of: sum),
            var conv = editor.operation(producer, as: ConvInteger.self), conv.isScaled, conv.activation == nil,
            let activation = editor.activation(node), activation.finish != nil, let output = editor.output(node),
            editor.soleReader(of: sum) == node
        else { return nil }
        conv.activation = activation
        return FusionMatch(
            nodes: [producer, node], type: "ConvInteger", operation: conv, inputs: editor.nodes[producer].inputs,
            outputs: [output])
    }
}

/// A product of float32, of quantised factors, that can start from what is added to it.
protocol SummingProduct: Operator {
    /// Whether it adds input 5, one number for each column.
    var hasBias: Bool { get set }
    /// Whether it adds input 6, a tensor of its result's shape.
    var hasResidual: Bool { get set }
    /// Whether its result is float32.
    var isFloat: Bool { get }
}

extension SummingProduct {
    var isFloat: Bool { true }
}

/// What is added to a product of quantised factors: one number for each column, or a value of its shape.
struct QuantizedProductSumFusion<Product: SummingProduct>: Fusion {
    let name: String
    let isResidual: Bool

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (sum, addend) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: sum), var product = editor.operation(producer, as: Product.self),
                product.isFloat, !product.hasResidual, let shape = editor.shape(sum), let other = editor.shape(addend),
                sum != addend, editor.isFloat(sum), editor.isFloat(addend), let output = editor.output(node),
                editor.shape(output) == shape
            else { continue }
            var inputs = editor.nodes[producer].inputs
            while inputs.count < 5 { inputs.append(nil) }
            if isResidual, other == shape {
                product.hasResidual = true
                if inputs.count < 6 { inputs.append(nil) }
            } else if !isResidual, !product.hasBias, editor.isOfColumns(other, shape) {
                product.hasBias = true
                inputs.removeLast(inputs.count - 5)
            } else {
                continue
            }
            return FusionMatch(
                nodes: [producer, node], type: editor.nodes[producer].identity.type, operation: product,
                inputs: inputs + [addend], outputs: [output])
        }
        return nil
    }
}

extension GraphEditor {
    /// Whether values of a shape are one number for each column of another of two axes or more.
    fileprivate func isOfColumns(_ values: Shape, _ shape: Shape) -> Bool {
        shape.rank >= 2 && values.rank <= shape.rank && values.dimensions.last == shape.dimensions.last
            && values.count == shape.dimensions.last
    }
}
