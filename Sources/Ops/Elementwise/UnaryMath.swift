import Foundation
import GraphRuntime

/// A function of one number: how it is computed in single and double precision.
struct MathFunction: Sendable {
    let type: String
    let since: Int
    /// Over whole arrays, where there is a vector kernel.
    var loop: FloatLoop?
    let float: @Sendable (Float) -> Float
    let double: @Sendable (Double) -> Double
    /// Operations an element, for the profile.
    var flops: Double = 10

    /// The functions of ONNX that take floats alone: Sqrt-13, Exp-13, Log-13, Sin-22, …, Erf-13, Ceil-13, Floor-13, Round-22
    /// (halves to even), Reciprocal-13.
    static let all: [MathFunction] = [
        MathFunction(type: "Sqrt", since: 6, loop: VectorKernels.sqrt, float: sqrtf, double: { sqrt($0) }, flops: 1),
        MathFunction(type: "Exp", since: 6, loop: VectorKernels.exp, float: expf, double: { exp($0) }),
        MathFunction(type: "Log", since: 6, loop: VectorKernels.log, float: logf, double: { log($0) }),
        MathFunction(type: "Sin", since: 7, loop: VectorKernels.sin, float: sinf, double: { sin($0) }),
        MathFunction(type: "Cos", since: 7, loop: VectorKernels.cos, float: cosf, double: { cos($0) }),
        MathFunction(type: "Tan", since: 7, float: tanf, double: { tan($0) }),
        MathFunction(type: "Asin", since: 7, float: asinf, double: { asin($0) }),
        MathFunction(type: "Acos", since: 7, float: acosf, double: { acos($0) }),
        MathFunction(type: "Atan", since: 7, loop: VectorKernels.atan, float: atanf, double: { atan($0) }),
        MathFunction(type: "Sinh", since: 9, float: sinhf, double: { sinh($0) }),
        MathFunction(type: "Cosh", since: 9, float: coshf, double: { cosh($0) }),
        MathFunction(type: "Tanh", since: 6, loop: VectorKernels.tanh, float: tanhf, double: { tanh($0) }),
        MathFunction(type: "Asinh", since: 9, float: asinhf, double: { asinh($0) }),
        MathFunction(type: "Acosh", since: 9, float: acoshf, double: { acosh($0) }),
        MathFunction(type: "Atanh", since: 9, float: atanhf, double: { atanh($0) }),
        MathFunction(type: "Erf", since: 9, loop: VectorKernels.erf, float: erff, double: { erf($0) }),
        MathFunction(
            type: "Ceil", since: 6, loop: VectorKernels.ceil, float: { $0.rounded(.up) }, double: { $0.rounded(.up) }, flops: 1),
        MathFunction(
            type: "Floor", since: 6, loop: VectorKernels.floor, float: { $0.rounded(.down) }, double: { $0.rounded(.down) },
            flops: 1),
        MathFunction(
            type: "Round", since: 11, loop: VectorKernels.roundEven, float: { $0.rounded(.toNearestOrEven) },
            double: { $0.rounded(.toNearestOrEven) }, flops: 1),
        MathFunction(
            type: "Reciprocal", since: 6, loop: VectorKernels.reciprocal, float: { 1 / $0 }, double: { 1 / $0 }, flops: 1),
    ]

    var definition: OperatorDefinition {
        OperatorDefinition(type, since: since) { decoder in
            try decoder.requireInputs(1...1)
            return UnaryMath(function: self)
        }
    }
}

/// y = function(x), element by element; y may be x.
///
/// - Throws: ``TensorError`` for types other than float32 and float64.
func preparedMath(_ function: MathFunction, _ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
    switch x.dtype {
    case .float32:
        if let loop = function.loop { return try VectorKernels.prepared(loop, x, into: y) }
        return try preparedMap(x, into: y, function.float)
    case .float64: return try preparedMap(x, into: y, function.double)
    default: throw TensorError("expected floating-point numbers, found \(x.dtype)")
    }
}

struct UnaryMath: PreparedOperator {
    let function: MathFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedMath(function, operands.input(0), into: operands.output(0))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(function.flops, inputs: inputs, outputs: outputs) }
}
