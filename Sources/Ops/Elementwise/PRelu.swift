import GraphRuntime

private enum Slope<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ x: Element, _ slope: Element) -> Element { x < .zero ? .product(x, slope) : x }
}

/// y = x where x isn't negative, slope * x elsewhere; the slope is broadcast to x.
///
/// - Throws: ``TensorError`` for types that aren't numbers, or differ.
func parametricRelu(_ x: Tensor, slope: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    struct Visitor: NumericVisitor {
        let x: Tensor
        let slope: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            try broadcast(Slope<Element>.self, x, slope, into: y, threads: threads)
        }
    }
    if x.dtype == .float32, slope.dtype == .float32 {
        return try broadcast(FloatSlope.self, x, slope, into: y, threads: threads)
    }
    try x.dtype.dispatch(Visitor(x: x, slope: slope, y: y, threads: threads))
}

/// PRelu-7 to PRelu-16.
struct PRelu: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let shape = try inputs[0].shape
        if let shape, let slope = try inputs[1].shape, try shape.broadcast(with: slope) != shape {
            throw TensorError("the slope's shape \(slope) doesn't broadcast to \(shape)")
        }
        return [Fact(dtype: try commonType(inputs, 0..<2), shape: shape)]
    }

    func run(_ context: inout RunContext) throws {
        try parametricRelu(context.input(0), slope: context.input(1), into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("PRelu", since: 7) { decoder in
        try decoder.requireInputs(2...2)
        return PRelu()
    }
}
