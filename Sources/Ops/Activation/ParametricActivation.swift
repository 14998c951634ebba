import Foundation
import GraphRuntime

/// Activation functions of up to two numbers a and b (ONNX LeakyRelu-16, Elu-22, Selu-22, Celu-12, HardSigmoid-22,
/// ThresholdedRelu-22, Swish-24; QuickGelu of com.microsoft is Swish).
enum ParametricFunction: String, Sendable {
    case leakyRelu = "LeakyRelu"
    /// a (exp(x) - 1) below 0, b x above.
    case elu = "Elu"
    case celu = "Celu"
    /// a x + b, brought into 0...1.
    case hardSigmoid = "HardSigmoid"
    case thresholdedRelu = "ThresholdedRelu"
    case swish = "Swish"

    var loop: ParametricFloatLoop {
        switch self {
        case .leakyRelu: VectorKernels.leakyRelu
        case .elu: VectorKernels.elu
        case .celu: VectorKernels.celu
        case .hardSigmoid: VectorKernels.hardSigmoid
        case .thresholdedRelu: VectorKernels.thresholdedRelu
        case .swish: VectorKernels.swish
        }
    }

    func double(_ x: Double, _ a: Double, _ b: Double) -> Double {
        switch self {
        case .leakyRelu: x < 0 ? a * x : x
        case .elu: x > 0 ? b * x : a * expm1(x)
        case .celu: x > 0 ? x : a * expm1(x / a)
        // In this order, in which NaN stays one.
        case .hardSigmoid: max(min(a * x + b, 1), 0)
        case .thresholdedRelu: x > a ? x : 0
        case .swish: x / (1 + exp(-a * x))
        }
    }
}

/// y = function(x; a, b), element by element; y may be x.
///
/// - Throws: ``TensorError`` for types other than float32 and float64.
func preparedActivation(
    _ function: ParametricFunction, a: Float, b: Float, _ x: Tensor, into y: MutableTensor
) throws -> PreparedRun {
    switch x.dtype {
    case .float32: try VectorKernels.prepared(function.loop, a, b, x, into: y)
    case .float64:
        try preparedMap(x, into: y) { (value: Double) in function.double(value, Double(a), Double(b)) }
    default: throw TensorError("expected floating-point numbers, found \(x.dtype)")
    }
}

struct ParametricActivation: PreparedOperator {
    let function: ParametricFunction
    let a: Float
    let b: Float

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedActivation(function, a: a, b: b, operands.input(0), into: operands.output(0))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(10, inputs: inputs, outputs: outputs) }

    /// - Parameters:
    ///   - alpha: the default of the attribute `alpha`.
    ///   - beta: the default of the attribute `beta`, nil where there is none.
    private static func definition(
        _ function: ParametricFunction, _ type: String? = nil, domain: String = "", since version: Int, alpha: Float,
        beta: Float? = nil
    ) -> OperatorDefinition {
        OperatorDefinition(type ?? function.rawValue, domain: domain, since: version) { decoder in
            try decoder.requireInputs(1...1)
            let a = try decoder.float("alpha", default: alpha)
            let b = try beta.map { value throws(TensorError) in try decoder.float("beta", default: value) } ?? 1
            return ParametricActivation(function: function, a: a, b: b)
        }
    }

    static let definitions = [
        definition(.leakyRelu, since: 6, alpha: 0.01), definition(.elu, since: 6, alpha: 1),
        definition(.celu, since: 12, alpha: 1),
        definition(.hardSigmoid, since: 6, alpha: 0.2, beta: 0.5), definition(.thresholdedRelu, since: 1, alpha: 1),
        definition(.swish, since: 24, alpha: 1),
        definition(.swish, "QuickGelu", domain: "com.microsoft", since: 1, alpha: 1.702),
        OperatorDefinition("Selu", since: 6) { decoder in
            try decoder.requireInputs(1...1)
            let alpha = try decoder.float("alpha", default: 1.67326319217681884765625)
            let gamma = try decoder.float("gamma", default: 1.05070102214813232421875)
            return ParametricActivation(function: .elu, a: alpha * gamma, b: gamma)
        },
    ]
}
