import GraphRuntime

/// Experiments of ONNX that its version 1.5 removed: converters of CoreML and WinML models wrote them.
enum RemovedOperators {
    static let expansions = [
        // Affine-1: alpha · x + beta
        OperatorExpansion("Affine", since: 1) { node in
            try node.decoder.requireInputs(1...1)
            let (factor, addend) = (
                try node.decoder.float("alpha", default: 1), try node.decoder.float("beta", default: 0)
            )
            let product = try node.scaled(node.required(0), by: factor)
            node.setOutput(0, node.add("Add", [product, try node.number(addend, like: product)]))
        },
        // Scale-1
        OperatorExpansion("Scale", since: 1) { node in
            try node.decoder.requireInputs(1...1)
            node.setOutput(0, try node.scaled(node.required(0), by: node.decoder.float("scale", default: 1)))
        },
        // ImageScaler-1: scale · x + bias, [N, C, H, W] with a bias for each channel
        OperatorExpansion("ImageScaler", since: 1) { node in
            try node.decoder.requireInputs(1...1)
            let factor = try node.decoder.float("scale", default: 1)
            guard let biases = try node.decoder.optionalFloats("bias"), !biases.isEmpty else {
                throw TensorError("attribute bias should have a number for each channel")
            }
            let product = try node.scaled(node.required(0), by: factor)
            let addend = node.constant(try Tensor(biases, shape: Shape([biases.count, 1, 1])))
            node.setOutput(0, node.add("Add", [product, node.add("CastLike", [addend, product])]))
        },
        // ScaledTanh-1: alpha · tanh(beta · x)
        OperatorExpansion("ScaledTanh", since: 1) { node in
            let (alpha, beta) = try node.alphaAndBeta()
            let tanh = node.add("Tanh", [try node.scaled(node.required(0), by: beta)])
            node.setOutput(0, try node.scaled(tanh, by: alpha))
        },
        // ParametricSoftplus-1: alpha · ln(e^(beta · x) + 1)
        OperatorExpansion("ParametricSoftplus", since: 1) { node in
            let (alpha, beta) = try node.alphaAndBeta()
            let softplus = node.add("Softplus", [try node.scaled(node.required(0), by: beta)])
            node.setOutput(0, try node.scaled(softplus, by: alpha))
        },
        // Crop-1: [N, C, H, W] without a border, or of a size behind the border at the left and the top
        OperatorExpansion("Crop", since: 1) { node in
            try node.decoder.requireInputs(1...1)
            let border = try node.decoder.optionalInts("border") ?? []
            let size = try node.decoder.optionalInts("scale")
            guard border.count == 4, border.allSatisfy({ (0..<Int(Int32.max)).contains($0) }) else {
                throw TensorError("attribute border should be left, top, right and bottom, found \(border)")
            }
            guard size == nil || size?.count == 2, size?.allSatisfy({ (0..<Int(Int32.max)).contains($0) }) != false else {
                throw TensorError("attribute scale should be a height and a width, found \(size ?? [])")
            }
            let starts = [border[1], border[0]]
            let ends =
                size.map { [starts[0] + $0[0], starts[1] + $0[1]] }
                ?? [border[3], border[2]].map { $0 == 0 ? Int(Int32.max) : -$0 }
            node.setOutput(
                0,
                node.add(
                    "Slice",
                    [try node.required(0), try node.integers(starts), try node.integers(ends), try node.integers([2, 3])]))
        },
        // DynamicSlice-1: Slice with starts, ends and axes as inputs, before it had them
        OperatorExpansion("DynamicSlice", since: 1) { node in
            try node.decoder.requireInputs(3...4)
            node.setOutput(0, node.add("Slice", (0..<4).map { node.input($0) }))
        },
    ]
}

extension NodeExpansion {
    fileprivate mutating func scaled(_ x: ValueID, by factor: Float) throws -> ValueID {
        add("Mul", [x, try number(factor, like: x)])
    }

    fileprivate mutating func alphaAndBeta() throws -> (Float, Float) {
        try decoder.requireInputs(1...1)
        guard let alpha = try decoder.optionalFloat("alpha"), let beta = try decoder.optionalFloat("beta") else {
            throw TensorError("attributes alpha and beta are needed")
        }
        return (alpha, beta)
    }
}
