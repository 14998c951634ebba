import Foundation
import GraphRuntime

/// Activation functions without parameters (ONNX Relu-14, Sigmoid-13, Softplus-22, Softsign-22, HardSwish-22, Mish-22, Gelu-20).
enum ActivationFunction: String, Sendable {
    case relu = "Relu"
    case sigmoid = "Sigmoid"
    case softplus = "Softplus"
    case softsign = "Softsign"
    case hardSwish = "HardSwish"
    /// (x · clip(x + 3, 0, 6)) / 6, whose product overflows: what fusions make of patterns in this order.
    case hardSwishDividedLast = "HardSwishDividedLast"
    case mish = "Mish"
    case gelu = "Gelu"
    /// (x · (1 + erf(x / √2))) / 2, whose product overflows: what fusions make of patterns in this order.
    case geluHalvedLast = "GeluHalvedLast"
    case geluTanh = "GeluTanh"

    var loop: FloatLoop {
        switch self {
        case .relu: VectorKernels.relu
        case .sigmoid: VectorKernels.sigmoid
        case .softplus: VectorKernels.softplus
        case .softsign: VectorKernels.softsign
        case .hardSwish: VectorKernels.hardSwish
        case .hardSwishDividedLast: VectorKernels.hardSwishDividedLast
        case .mish: VectorKernels.mish
        case .gelu: VectorKernels.geluErf
        case .geluHalvedLast: VectorKernels.geluErfHalvedLast
        case .geluTanh: VectorKernels.geluTanh
        }
    }

    var doubleLoop: DoubleLoop {
        switch self {
        case .relu: DoubleKernels.relu
        case .sigmoid: DoubleKernels.sigmoid
        case .softplus: DoubleLoop(each: { max($0, 0) + log1p(exp(-abs($0))) })
        case .softsign: DoubleLoop(each: { $0 / (1 + abs($0)) })
        case .hardSwish: DoubleLoop(each: { $0 * min(max($0 / 6 + 0.5, 0), 1) })
        case .hardSwishDividedLast: DoubleLoop(each: { $0 * min(max($0 + 3, 0), 6) / 6 })
        case .mish: DoubleLoop(each: { $0 * tanh(max($0, 0) + log1p(exp(-abs($0)))) })
        case .gelu: DoubleLoop(each: { 0.5 * $0 * erfc(-$0 * 0.5.squareRoot()) })
        case .geluHalvedLast: DoubleLoop(each: { $0 * erfc(-$0 * 0.5.squareRoot()) * 0.5 })
        case .geluTanh:
            DoubleLoop(each: { x in 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) })
        }
    }
}

private enum IntegerRelu<Element: NumericElement>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Element { .greater(x, .zero) }
}

/// y = function(x), element by element; y may be x.
///
/// - Throws: ``TensorError`` for types other than float32 and float64; Relu takes integers too.
func activate(_ function: ActivationFunction, _ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    try preparedActivation(function, x, into: y)(threads)
}

/// As ``activate(_:_:into:threads:)``, of tensors that outlive what is returned.
func preparedActivation(_ function: ActivationFunction, _ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
    struct Visitor: IntegerVisitor {
        let x: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws -> PreparedRun {
            try preparedMap(IntegerRelu<Element>.self, x, into: y)
        }
    }
    switch x.dtype {
    case .float32: return try VectorKernels.prepared(function.loop, x, into: y)
    case .float64: return try VectorKernels.prepared(function.doubleLoop, x, into: y)
    default:
        guard function == .relu else { throw TensorError("expected floating-point numbers, found \(x.dtype)") }
        return try x.dtype.dispatchInteger(Visitor(x: x, y: y))
    }
}

struct Activation: PreparedOperator {
    let function: ActivationFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedActivation(function, operands.input(0), into: operands.output(0))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        .perElement(function == .relu ? 1 : 15, inputs: inputs, outputs: outputs)
    }

    private static func definition(_ function: ActivationFunction, since version: Int) -> OperatorDefinition {
        OperatorDefinition(function.rawValue, since: version) { decoder in
            try decoder.requireInputs(1...1)
            return Activation(function: function)
        }
    }

    static let definitions = [
        definition(.relu, since: 6), definition(.sigmoid, since: 6), definition(.softplus, since: 1),
        definition(.softsign, since: 1), definition(.hardSwish, since: 14), definition(.mish, since: 18),
        OperatorDefinition("Gelu", since: 20) { decoder in
            try decoder.requireInputs(1...1)
            switch try decoder.string("approximate", default: "none") {
            case "none": return Activation(function: .gelu)
            case "tanh": return Activation(function: .geluTanh)
            case let other: throw TensorError("attribute approximate should be none or tanh, found \"\(other)\"")
            }
        },
        OperatorDefinition("Gelu", domain: "com.microsoft", since: 1) { decoder in
            try decoder.requireInputs(1...1)
            return Activation(function: .gelu)
        },
    ]
}

/// BiasGelu (by erf) and FastGelu (by tanh, its bias optional) of com.microsoft: the Gelu of x + bias.
struct BiasedGelu: Operator {
    let function: ActivationFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let shape = try inputs[0].shape
        if let shape, let bias = inputs.optional(1)?.shape, try shape.broadcast(with: bias) != shape {
            throw TensorError("the bias's shape \(bias) doesn't broadcast to \(shape)")
        }
        return [Fact(dtype: try commonType(inputs, 0..<inputs.count), shape: shape)]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        guard let bias = try context.optionalInput(1) else {
            return try activate(function, context.input(0), into: output, threads: context.threads)
        }
        try arithmetic(.add, context.input(0), bias, into: output, threads: context.threads)
        try activate(function, output.tensor, into: output, threads: context.threads)
    }

    static let definitions = [("BiasGelu", 2, ActivationFunction.gelu), ("FastGelu", 1, .geluTanh)].map {
        type, least, function in
        OperatorDefinition(type, domain: "com.microsoft", since: 1) { decoder in
            try decoder.requireInputs(least...2)
            return BiasedGelu(function: function)
        }
    }
}
