import GraphRuntime

/// Transposed convolution: input [N, C, spatial…], weights [C, M / group, kernel…], bias [M], output [N, M, spatial…].
///
/// ONNX ConvTranspose-1, -11, -22. Output extent along an axis:
/// stride · (input − 1) + output_padding + (kernel − 1) · dilation + 1 − pads.
struct ConvTranspose: ActivatedConvolution {
    var attributes: WindowAttributes
    var outputPadding: [Int]
    var outputShape: [Int]
    var activation: FusedActivation?
    /// Input 1 in panels, where it is constant.
    private var panels: PackedConstant?

    init(attributes: WindowAttributes, outputPadding: [Int], outputShape: [Int]) {
        (self.attributes, self.outputPadding, self.outputShape) = (attributes, outputPadding, outputShape)
    }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var kernelName: String? { TransposedConvolution<Float>.kernelName }
    var fusedType: String { (["ConvTranspose"] + [activation?.name].compactMap(\.self)).joined(separator: "+") }

    /// The convolution whose gradient this is, from output to input, with the output's full shape.
    private struct Geometry {
        let output: Shape
        let padsBegin: [Int]
        let strides: [Int]
        let dilations: [Int]
        let kernel: [Int]
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        guard let shape = input.shape, let weights = try inputs[1].shape else { return [Fact(dtype: input.dtype)] }
        let output = try geometry(shape, weights).output
        if let bias = inputs.optional(2)?.shape, bias.count != output[1] {
            throw TensorError("the bias \(bias) doesn't have \(output[1]) elements")
        }
        return [Fact(dtype: input.dtype, shape: output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if inputs.count > 1, let weights = inputs[1]?.shape, let input = inputs[0]?.shape {
            cost.flops = 2 * Double(input.count) * Double(weights.count(1..<weights.rank))
        }
        return cost
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        guard let x = inputs[0], let dtype = x.dtype, dtype == .float32 || dtype.isHalf, let shape = x.shape,
            let weights = inputs[1]?.tensor,
            let constants = plan.constants
        else { return result }
        result.panels = try convolution(Float.self, shape, weights.shape).packed(weights, constants: constants)
        return result
    }

    func run(_ context: inout RunContext) throws {
        switch try context.input(0).dtype {
        case .float32: try run(Float.self, &context)
        case .float64: try run(Double.self, &context)
        case let other: throw TensorError("pictures of \(other) aren't supported")
        }
    }

    private func geometry(_ input: Shape, _ weights: Shape) throws(TensorError) -> Geometry {
        guard input.rank >= 3, weights.rank == input.rank, weights[0] == input[1], input[1] % attributes.group == 0 else {
            throw TensorError("weights \(weights) don't fit input \(input) in \(attributes.group) groups")
        }
        let kernel = Array(weights.dimensions.dropFirst(2))
        let (strides, dilations, pads) = try attributes.values(kernel: kernel)
        let rank = kernel.count
        guard outputPadding.isEmpty || outputPadding.count == rank, outputShape.isEmpty || outputShape.count == rank else {
            throw TensorError("output_padding \(outputPadding) or output_shape \(outputShape) should have \(rank) values")
        }
        var output: [Int] = []
        var begin: [Int] = []
        for axis in 0..<rank {
            let extra = outputPadding.isEmpty ? 0 : outputPadding[axis]
            let (reach, overflow) = (kernel[axis] - 1).multipliedReportingOverflow(by: dilations[axis])
            let (spread, tooFar) = input[axis + 2].multipliedReportingOverflow(by: strides[axis])
            guard !overflow, !tooFar, reach < 1 << 40, spread < 1 << 40, extra >= 0, extra < 1 << 30, kernel[axis] > 0 else {
                throw TensorError(
                    "kernel \(kernel), strides \(strides), dilations \(dilations) or output_padding \(outputPadding) are out of range"
                )
            }
            let full = spread - strides[axis] + extra + reach + 1
            if !outputShape.isEmpty || attributes.autoPad == .sameUpper || attributes.autoPad == .sameLower {
                let wanted = outputShape.isEmpty ? spread : outputShape[axis]
                guard wanted >= 0 else { throw TensorError("output_shape \(outputShape) has a negative extent") }
                let total = max(full - wanted, 0)
                output.append(wanted)
                begin.append(attributes.autoPad == .sameUpper ? total / 2 : total - total / 2)
            } else {
                let valid = attributes.autoPad == .valid
                output.append(full - (valid ? 0 : pads[axis] + pads[axis + rank]))
                begin.append(valid ? 0 : pads[axis])
            }
        }
        let (channels, overflow) = weights[1].multipliedReportingOverflow(by: attributes.group)
        guard !overflow else { throw TensorError("weights \(weights) have too many channels") }
        return Geometry(
            output: try Shape([input[0], channels] + output), padsBegin: begin, strides: strides, dilations: dilations,
            kernel: kernel)
    }

    private func convolution<Element: FoldedElement>(
        _: Element.Type, _ input: Shape, _ weights: Shape
    ) throws(TensorError) -> TransposedConvolution<Element> {
        let geometry = try geometry(input, weights)
        let fold = WindowFold(
            input: Array(input.dimensions.dropFirst(2)), output: Array(geometry.output.dimensions.dropFirst(2)),
            kernel: geometry.kernel, strides: geometry.strides, dilations: geometry.dilations,
            padsBegin: geometry.padsBegin)
        return try TransposedConvolution(fold, input: input, weights: weights, group: attributes.group)
    }

    private func run<Element: FoldedElement>(_: Element.Type, _ context: inout RunContext) throws {
        let input = try context.input(0)
        let panels = try? panels?.tensor(threads: context.threads)
        let weights = try context.weights(isPacked: panels != nil)
        try convolution(Element.self, input.shape, weights.shape).run(
            input, weights, panels: panels, bias: context.optionalInput(2), activation,
            into: context.output(0), threads: context.threads)
    }
}

extension ConvTranspose {
    static let definitions = [
        OperatorDefinition("ConvTranspose", since: 1) { node in
            try node.requireInputs(2...3)
            return ConvTranspose(
                attributes: try WindowAttributes(&node), outputPadding: try node.optionalInts("output_padding") ?? [],
                outputShape: try node.optionalInts("output_shape") ?? [])
        }
    ]
}
