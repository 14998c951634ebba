import GraphRuntime

/// Convolution over any number of spatial axes: input [N, C, spatial…], weights [M, C / group, kernel…], bias [M].
///
/// ONNX Conv-1, -11, -22. Fusions add a residual of the output's shape (input 3), an activation of the sum, and of that
/// scale · activation + shift.
struct Conv: ActivatedConvolution {
    var attributes: WindowAttributes
    var hasResidual = false
    var activation: FusedActivation?
    /// Nil for 1.
    var scale: Float?
    /// Nil for 0.
    var shift: Float?
    /// The weights in panels of output channels, where the kernel reads constants so.
    private var panels: PackedFactor?
    /// The weights in panels of rows, or where they are aligned, where the kernel reads constants so.
    private var ordered: PackedConstant?
    /// The weights as ``DynamicConvolution`` has them, where that computes it.
    private var bytes: PackedConstant?
    /// The weights as whole numbers with scales, where the plan keeps them so and the kernel reads no panels.
    private var rows: QuantizedRows?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single
    /// What follows from the shapes of the plan.
    private var prepared: PreparedConvolution?
    /// What computes it as a convolution of other pictures, in the place of the kernels above.
    private var divided: (any DividedConvolution)?

    init(attributes: WindowAttributes) { self.attributes = attributes }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var kernelName: String? { "im2col" }

    /// Whether anything is done to the sums.
    var isFused: Bool { hasResidual || activation != nil }

    /// For graphs and profiles: `Conv+residual+Relu`.
    var fusedType: String {
        let parts = [hasResidual ? "residual" : nil, activation?.name, scale ?? shift == nil ? nil : "scale"]
        return (["Conv"] + parts.compactMap(\.self)).joined(separator: "+")
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        guard let shape = input.shape, let weights = try inputs[1].shape else { return [Fact(dtype: input.dtype)] }
        let window = try ConvolutionWindow(attributes, input: shape, weights: weights)
        if let bias = inputs.optional(2)?.shape, bias.count != window.outputChannels {
            throw TensorError("the bias \(bias) doesn't have \(window.outputChannels) elements")
        }
        let output = try window.outputShape
        if hasResidual, let residual = inputs.optional(3)?.shape, residual != output {
            throw TensorError("the residual should have shape \(output), found \(residual)")
        }
        return [Fact(dtype: input.dtype, shape: output)]
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard inputs.count > 1, let input = inputs[0], let shape = input.shape, let weights = inputs[1]?.shape,
            let window = try? ConvolutionWindow(attributes, input: shape, weights: weights)
        else { return kernelName }
        if let divided { return divided.kernelName }
        if ordered != nil, case .winograd2x2? = prepared?.kernel(hasPanels: true) { return "bf16 Winograd 2×2" }
        if bytes != nil { return window.isPointwise ? "int8 windows 1×1" : "int8 windows" }
        let kernel =
            input.dtype == .float32 ? ConvolutionKernel(window, hasPanels: panels != nil, precision) : .unfolded
        switch kernel {
        case .dot: return "dot products"
        case .depthwise: return "depthwise"
        case .frames: return "frames"
        case .fewPixels:
            let product = ProductKernel.prePackedName(panels?.precision ?? .single)
            return window.isPointwise ? "\(product) 1×1" : "im2col + \(product)"
        case .tiles: return window.isPointwise ? "bf16 tiles 1×1" : "bf16 tiles"
        case .direct: return "direct"
        case .winograd(let winograd): return winograd.isPaired ? "bf16 Winograd 4×4" : "Winograd 4×4"
        case .seenTaps: return "taps that see pixels"
        case .windows: return window.isPointwise ? "windows 1×1" : "windows"
        case .bytes, .winograd2x2, .unfolded: break
        }
        let product = ProductKernel.gemmName(
            input.dtype == .float32 ? precision : .single, m: window.outputChannels / window.group, n: window.outputCount,
            k: Im2Col<Float>(window).rowCount)
        return window.isPointwise ? "\(product) 1×1" : "im2col + \(product)"
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if inputs.count > 1, let weights = inputs[1]?.shape, let output = outputs.first??.shape {
            cost.flops = 2 * Double(output.count) * Double(weights.count(1..<weights.rank))
        }
        return cost
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision
        (result.prepared, result.divided) = (nil, nil)
        if inputs.count > 1, let input = inputs[0]?.shape, let weights = inputs[1]?.shape {
            result.prepared = try PreparedConvolution(
                attributes, input: input, weights: weights, plan.precision, plan.weights)
        }
        if let window = result.prepared?.window, let divided = try Self.divided(window, inputs: inputs, plan: plan) {
            result.divided = divided
            return result
        }
        guard let constants = plan.constants, let (_, weights) = PanelProduct.constantFactor(inputs),
            let prepared = result.prepared
        else { return result }
        let (window, kernel) = (prepared.window, prepared.kernel(hasPanels: true))
        if case .bytes(let convolution) = kernel {
            result.bytes = convolution.layout.packed(weights, constants: constants)
            if result.bytes != nil { return result }
        }
        if kernel.precisionOfPanels(plan, weights.dtype) == nil, let rows = QuantizedRows(weights, plan: plan) {
            result.rows = rows
            return result
        }
        switch kernel {
        case .tiles(let tiles):
            result.ordered = tiles.layout.packed(weights, constants: constants)
            return result
        case .seenTaps(let taps):
            result.ordered = taps.packed(weights, constants: constants)
            return result
        case .windows(let windows):
            result.ordered = windows.layout.packed(weights, constants: constants)
            return result
        case .winograd2x2(let winograd):
            result.ordered = winograd.layout.packed(weights, constants: constants)
            if result.ordered != nil { return result }
        case .dot, .depthwise:
            guard weights.dtype == .float32, !weights.isAligned else { return result }
            result.ordered = constants.constant(weights, form: "aligned") { weights, _ throws(TensorError) in
                try weights.aligned()
            }
            return result
        case .bytes, .frames, .fewPixels, .direct, .winograd, .unfolded: break
        }
        guard let precision = kernel.precisionOfPanels(plan, weights.dtype) else { return result }
        let depth = Im2Col<Float>(window).rowCount
        result.panels = PanelProduct.layout(
            n: window.outputChannels, k: depth, isTransposed: true, precision: precision
        )
        .packed(weights, constants: constants)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let input = try context.input(0)
        var weights = try context.input(1)
        let bias = try context.optionalInput(2)?.aligned()
        let output = try context.output(0)
        let threads = context.threads
        let prepared =
            if let prepared, prepared.fits(input: input.shape, weights: weights.shape) {
                prepared
            } else {
                try PreparedConvolution(attributes, input: input.shape, weights: weights.shape, precision)
            }
        // Without memory for the panels the weights are read as they lie.
        let panels = try? panels?.panels(threads: threads)
        let ordered = try? ordered?.tensor(threads: threads)
        let rows = try? rows?.matrix(threads: threads)
        let kernel = input.dtype == .float32 ? prepared.kernel(hasPanels: panels != nil) : .unfolded
        let epilogue = try ConvolutionEpilogue(
            activation, scale: scale, shift: shift, residual: hasResidual ? context.input(3).aligned() : nil, output: output)
        if let divided = try divided(prepared.window, input: input, weights: weights) {
            return try divided.run(
                input: input, weights: weights, bias: bias, epilogue, output: output, threads: threads)
        }
        if input.dtype == .float32, case .bytes(let convolution) = prepared.kernel(hasPanels: true),
            let packed = try? bytes?.tensor(threads: threads)
        {
            return try convolution.run(input: input, packed: packed, bias: bias, epilogue, output: output, threads: threads)
        }
        if input.dtype == .float32, case .winograd2x2(let winograd) = prepared.kernel(hasPanels: true), let ordered {
            return try winograd.run(
                input: input, kernels: ordered, bias: bias, epilogue, output: output, threads: threads)
        }
        func widen(_ weights: inout Tensor) throws {
            if let rows { weights = try rows.widened(to: weights.shape, threads: threads) }
            if ordered == nil { weights = try weights.widened(threads: threads).aligned() }
        }
        switch kernel {
        case .tiles(let tiles):
            return try tiles.run(
                input: input, weights: weights, rows: rows, packed: ordered, bias: bias, epilogue, output: output,
                threads: threads)
        case .frames(let convolution):
            guard let panels else { break }
            return try convolution.run(
                input: input, panels: panels, bias: bias, epilogue, output: output, threads: threads)
        case .fewPixels(let convolution):
            guard let panels else { break }
            try convolution.run(input: input, panels: panels, bias: bias, output: output, threads: threads)
            return try epilogue.apply(to: output, threads: threads)
        case .winograd(let winograd):
            return try winograd.run(
                input: input, weights: weights, panels: panels, rows: rows, bias: bias, epilogue, output: output,
                threads: threads)
        case .seenTaps(let taps):
            try widen(&weights)
            return try taps.run(
                input: input, weights: weights, panels: ordered, bias: bias, epilogue, output: output, threads: threads)
        case .windows(let windows):
            try widen(&weights)
            return try windows.run(
                input: input, weights: weights, panels: ordered, bias: bias, epilogue, output: output, threads: threads)
        case .dot, .depthwise, .direct, .bytes, .winograd2x2, .unfolded: break
        }
        weights = try rows?.widened(to: weights.shape, threads: threads) ?? weights.widened(threads: threads)
        switch kernel {
        case .dot(let dot):
            return try dot.run(
                input: input, weights: ordered ?? weights.aligned(), bias: bias, epilogue, output: output, threads: threads)
        case .depthwise(let depthwise):
            return try depthwise.run(
                input: input, weights: ordered ?? weights.aligned(), bias: bias, epilogue, output: output, threads: threads)
        case .direct(let direct):
            try direct.run(input: input, weights: weights, bias: bias, output: output, threads: threads)
            return try epilogue.apply(to: output, threads: threads)
        default: break
        }
        let window = prepared.window
        switch input.dtype {
        case .float32: try convolve(Float.self, window, input, weights, bias: bias, into: output, precision, threads: threads)
        case .float64: try convolve(Double.self, window, input, weights, bias: bias, into: output, threads: threads)
        default: throw TensorError("pictures of \(input.dtype) aren't supported")
        }
        if isFused { try epilogue.apply(to: output, threads: threads) }
    }

    /// What computes it as a convolution of other pictures, where something does: the plan's, if it is for these shapes.
    private func divided(
        _ window: ConvolutionWindow, input: Tensor, weights: Tensor
    ) throws -> (any DividedConvolution)? {
        guard input.dtype == .float32 else { return nil }
        if let divided, divided.fits(input: input.shape, weights: weights.shape) { return divided }
        return try Self.divided(
            window,
            inputs: [Fact(dtype: input.dtype, shape: input.shape), Fact(dtype: weights.dtype, shape: weights.shape)],
            plan: PlanContext(precision: precision))
    }

    private static func divided(
        _ window: ConvolutionWindow, inputs: [Fact?], plan: PlanContext
    ) throws -> (any DividedConvolution)? {
        try SlicedConvolution(window, inputs: inputs, plan: plan) ?? DilatedConvolution(window, inputs: inputs, plan: plan)
    }
}

/// A convolution fitted to its shapes, and the kernels that compute it.
private final class PreparedConvolution: Sendable {
    let window: ConvolutionWindow
    private let input: Shape
    private let weights: Shape
    private let withPanels: ConvolutionKernel
    private let withoutPanels: ConvolutionKernel

    init(
        _ attributes: WindowAttributes, input: Shape, weights: Shape, _ precision: Precision, _ format: WeightFormat = .stored
    ) throws(TensorError) {
        (self.input, self.weights) = (input, weights)
        window = try ConvolutionWindow(attributes, input: input, weights: weights)
        withPanels = ConvolutionKernel(window, hasPanels: true, precision, format)
        withoutPanels = ConvolutionKernel(window, hasPanels: false, precision, format)
    }

    func fits(input: Shape, weights: Shape) -> Bool { self.input == input && self.weights == weights }

    /// - Parameter hasPanels: whether the weights are there in panels of output channels.
    func kernel(hasPanels: Bool) -> ConvolutionKernel { hasPanels ? withPanels : withoutPanels }
}

/// How a convolution of float32 is computed.
private enum ConvolutionKernel: Sendable {
    case dot(DotConvolution)
    case depthwise(DepthwiseConvolution)
    /// Only where the weights are packed for it.
    case frames(FrameConvolution)
    /// Only where the weights are packed for it.
    case bytes(DynamicConvolution)
    case tiles(TileConvolution)
    case fewPixels(FewPixelConvolution)
    case direct(DirectConvolution)
    case winograd(WinogradConvolution)
    /// Only where the weights are packed for it.
    case winograd2x2(Winograd2x2)
    case windows(WindowConvolution)
    case seenTaps(SeenTapsConvolution)
    case unfolded

    /// The numbers of the panels of weights that it reads, for a plan; nil where it reads none.
    func precisionOfPanels(_ plan: PlanContext, _ weights: DType) -> ProductPrecision? {
        switch self {
        case .frames(let convolution): convolution.precisionOfPanels(plan, weights)
        case .fewPixels(let convolution): convolution.precisionOfPanels(plan, weights)
        case .winograd(let winograd): winograd.readsPanels ? winograd.precisionOfPanels(weights, plan.weights) : nil
        case .dot, .depthwise, .bytes, .tiles, .direct, .winograd2x2, .windows, .seenTaps, .unfolded: nil
        }
    }

    init(_ window: ConvolutionWindow, hasPanels: Bool, _ wanted: Precision, _ format: WeightFormat = .stored) {
        let precision = wanted.withoutBytes
        let windows = WindowConvolution(window)
        let winograd = WinogradConvolution(window, hasPanels: hasPanels, precision)
        if let dot = DotConvolution(window) {
            self = .dot(dot)
        } else if let depthwise = DepthwiseConvolution(window) {
            self = .depthwise(depthwise)
        } else if hasPanels, wanted != .int8, let frames = FrameConvolution(window) {
            self = .frames(frames)
        } else if hasPanels, wanted == .int8, let fewPixels = FewPixelConvolution(window), fewPixels.multipliesBytes {
            // Weights of bytes are read in less time than others are transformed.
            self = .fewPixels(fewPixels)
        } else if hasPanels, winograd == nil, let bytes = DynamicConvolution(window, wanted) {
            // What is filtered would gain less by bytes than their error is worth.
            self = .bytes(bytes)
        } else if let tiles = TileConvolution(window, precision) {
            self = .tiles(tiles)
        } else if hasPanels, let winograd2x2 = Winograd2x2(window, precision, format) {
            self = .winograd2x2(winograd2x2)
        } else if let windows, windows.isFasterThanFiltering, precision == .single || winograd != nil {
            // What would be filtered in single precision anyway.
            self = .windows(windows)
        } else if let winograd {
            self = .winograd(winograd)
        } else if hasPanels, let fewPixels = FewPixelConvolution(window) {
            self = .fewPixels(fewPixels)
        } else if precision == .single, let taps = SeenTapsConvolution(window) {
            self = .seenTaps(taps)
        } else if let direct = DirectConvolution(window) {
            self = .direct(direct)
        } else if let windows, precision == .single {
            self = .windows(windows)
        } else if hasPanels, let fewPixels = FewPixelConvolution(window, isUnfolded: true) {
            self = .fewPixels(fewPixels)
        } else {
            self = .unfolded
        }
    }
}

extension Conv {
    static let definitions = [
        OperatorDefinition("Conv", since: 1) { node in
            try node.requireInputs(2...3)
            return Conv(attributes: try WindowAttributes(&node))
        }
    ]
}
