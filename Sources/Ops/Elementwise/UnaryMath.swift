import Foundation
import GraphRuntime

/// A function of one number: how it is computed over arrays in single and double precision.
struct MathFunction: Sendable {
    let type: String
    let since: Int
    let float: FloatLoop
    let double: DoubleLoop
    /// Operations an element, for the profile.
    var flops: Double = 10

    /// The functions of ONNX that take floats alone: Sqrt-13, Exp-13, Log-13, Sin-22, …, Erf-13, Ceil-13, Floor-13, Round-22
    /// (halves to even), Reciprocal-13.
    static let all: [MathFunction] = [
        MathFunction(type: "Sqrt", since: 6, float: VectorKernels.sqrt, double: DoubleKernels.sqrt, flops: 1),
        MathFunction(type: "Exp", since: 6, float: VectorKernels.exp, double: DoubleKernels.exp),
        MathFunction(type: "Log", since: 6, float: VectorKernels.log, double: DoubleKernels.log),
        MathFunction(type: "Sin", since: 7, float: VectorKernels.sin, double: DoubleLoop(each: { sin($0) })),
        MathFunction(type: "Cos", since: 7, float: VectorKernels.cos, double: DoubleLoop(each: { cos($0) })),
        MathFunction(type: "Tan", since: 7, float: VectorKernels.tan, double: DoubleLoop(each: { tan($0) })),
        MathFunction(type: "Asin", since: 7, float: VectorKernels.asin, double: DoubleLoop(each: { asin($0) })),
        MathFunction(type: "Acos", since: 7, float: VectorKernels.acos, double: DoubleLoop(each: { acos($0) })),
        MathFunction(type: "Atan", since: 7, float: VectorKernels.atan, double: DoubleLoop(each: { atan($0) })),
        MathFunction(type: "Sinh", since: 9, float: VectorKernels.sinh, double: DoubleLoop(each: { sinh($0) })),
        MathFunction(type: "Cosh", since: 9, float: VectorKernels.cosh, double: DoubleLoop(each: { cosh($0) })),
        MathFunction(type: "Tanh", since: 6, float: VectorKernels.tanh, double: DoubleKernels.tanh),
        MathFunction(type: "Asinh", since: 9, float: VectorKernels.asinh, double: DoubleLoop(each: { asinh($0) })),
        MathFunction(type: "Acosh", since: 9, float: VectorKernels.acosh, double: DoubleLoop(each: { acosh($0) })),
        MathFunction(type: "Atanh", since: 9, float: VectorKernels.atanh, double: DoubleLoop(each: { atanh($0) })),
        MathFunction(type: "Erf", since: 9, float: VectorKernels.erf, double: DoubleLoop(each: { erf($0) })),
        MathFunction(type: "Ceil", since: 6, float: VectorKernels.ceil, double: DoubleKernels.ceil, flops: 1),
        MathFunction(type: "Floor", since: 6, float: VectorKernels.floor, double: DoubleKernels.floor, flops: 1),
        MathFunction(type: "Round", since: 11, float: VectorKernels.roundEven, double: DoubleKernels.roundEven, flops: 1),
        MathFunction(
            type: "Reciprocal", since: 6, float: VectorKernels.reciprocal, double: DoubleKernels.reciprocal, flops: 1),
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
    case .float32: try VectorKernels.prepared(function.float, x, into: y)
    case .float64: try VectorKernels.prepared(function.double, x, into: y)
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
