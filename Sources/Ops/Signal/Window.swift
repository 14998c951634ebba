import Foundation
import GraphRuntime

/// ONNX HannWindow, HammingWindow and BlackmanWindow (17): w[n] = a0 - a1 cos(2πn/N) + a2 cos(4πn/N), N the number of samples, or one
/// less where the window isn't periodic.
struct Window: Operator {
    /// a0, a1, a2.
    let terms: [Double]
    let isPeriodic: Bool
    let dtype: DType

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let size = try inputs[0].tensor else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try Shape([size.integer("size")]))]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let count = output.count
        let period = Double(max(isPeriodic ? count : count - 1, 1))
        let terms = terms
        try fill(output) { n in
            let angle = 2 * .pi * Double(n) / period
            return terms[0] - terms[1] * cos(angle) + terms[2] * cos(2 * angle)
        }
    }

    private static func definition(_ type: String, _ terms: [Double]) -> OperatorDefinition {
        OperatorDefinition(type, since: 17) { decoder in
            try decoder.requireInputs(1...1)
            return Window(
                terms: terms, isPeriodic: try decoder.bool("periodic", default: true),
                dtype: try numericType(&decoder))
        }
    }

    static let definitions = [
        definition("HannWindow", [0.5, 0.5, 0]), definition("HammingWindow", [25 / 46, 21 / 46, 0]),
        definition("BlackmanWindow", [0.42, 0.5, 0.08]),
    ]
}

/// The attribute `output_datatype`, float32 by default.
///
/// - Throws: ``TensorError`` for types other than numbers of 8 bits and more.
func numericType(_ decoder: inout NodeDecoder) throws -> DType {
    let dtype = try decoder.optionalDType("output_datatype") ?? .float32
    switch dtype {
    case .float16, .bfloat16, .float32, .float64, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: return dtype
    default: throw TensorError("attribute output_datatype should name a number type, found \(dtype)")
    }
}

/// Gives every element the value of its place, brought to the tensor's type.
func fill(_ output: MutableTensor, _ value: (Int) -> Double) throws {
    struct Visitor: NumericVisitor {
        let output: MutableTensor
        let value: (Int) -> Double

        func visit<Element: NumericElement>(_: Element.Type) throws {
            try output.withMutableSpan(of: Element.self) { target in
                for index in 0..<target.count { target[index] = Element(saturating: value(index)) }
            }
        }
    }
    try withoutActuallyEscaping(value) { try output.dtype.dispatch(Visitor(output: output, value: $0)) }
}
