import GraphRuntime

private enum ShiftLeft<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element {
        b < 0 || b >= Element.bitWidth ? 0 : a &<< b
    }
}

private enum ShiftRight<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element {
        b < 0 || b >= Element.bitWidth ? (a < 0 ? ~0 : 0) : a &>> b
    }
}

/// y = a shifted by b bits; to the right, signed integers keep their sign. Shifts by a negative number, or by the width of the type
/// or more, leave 0, and -1 of negative numbers that are shifted to the right (ONNX BitShift-28).
///
/// - Throws: ``TensorError`` for types other than integers, or that differ.
func bitShift(_ a: Tensor, by b: Tensor, left: Bool, into y: MutableTensor, threads: ThreadPool) throws {
    struct Visitor: IntegerVisitor {
        let a: Tensor
        let b: Tensor
        let left: Bool
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws {
            if left {
                try broadcast(ShiftLeft<Element>.self, a, b, into: y, threads: threads)
            } else {
                try broadcast(ShiftRight<Element>.self, a, b, into: y, threads: threads)
            }
        }
    }
    try a.dtype.dispatchInteger(Visitor(a: a, b: b, left: left, y: y, threads: threads))
}

/// BitShift (11, 28).
struct BitShift: Operator {
    let isLeft: Bool
    /// Signed integers came with version 28.
    let takesSigned: Bool

    private static let unsigned: Set<DType> = [.uint8, .uint16, .uint32, .uint64]
    private static let signed: Set<DType> = [.int8, .int16, .int32, .int64]

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<2)
        if let dtype, !Self.unsigned.contains(dtype), !(takesSigned && Self.signed.contains(dtype)) {
            throw TensorError("expected \(takesSigned ? "" : "unsigned ")integers, found \(dtype)")
        }
        return [Fact(dtype: dtype, shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try bitShift(context.input(0), by: context.input(1), left: isLeft, into: context.output(0), threads: context.threads)
    }

    static let definitions = OperatorDefinition.all("BitShift", since: [11, 28]) { decoder in
        try decoder.requireInputs(2...2)
        let takesSigned = decoder.version >= 28
        switch try decoder.string("direction", default: "") {
        case "LEFT": return BitShift(isLeft: true, takesSigned: takesSigned)
        case "RIGHT": return BitShift(isLeft: false, takesSigned: takesSigned)
        case let other: throw TensorError("attribute direction should be LEFT or RIGHT, found \"\(other)\"")
        }
    }
}
