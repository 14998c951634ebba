import GraphRuntime

private enum ShiftLeft<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    // A smart shift: by the width or more gives 0.
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { b >= Element.bitWidth ? 0 : a &<< b }
}

private enum ShiftRight<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { b >= Element.bitWidth ? 0 : a &>> b }
}

/// y = a shifted by b bits; shifts by the width of the type or more leave nothing.
///
/// - Throws: ``TensorError`` for types other than unsigned integers, or that differ.
func bitShift(_ a: Tensor, by b: Tensor, left: Bool, into y: MutableTensor, threads: ThreadPool) throws {
    switch a.dtype {
    case .uint8, .uint16, .uint32, .uint64: break
    default: throw TensorError("expected unsigned integers, found \(a.dtype)")
    }
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

/// BitShift-11.
struct BitShift: Operator {
    let isLeft: Bool

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try commonType(inputs, 0..<2), shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try bitShift(context.input(0), by: context.input(1), left: isLeft, into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("BitShift", since: 11) { decoder in
        try decoder.requireInputs(2...2)
        switch try decoder.string("direction", default: "") {
        case "LEFT": return BitShift(isLeft: true)
        case "RIGHT": return BitShift(isLeft: false)
        case let other: throw TensorError("attribute direction should be LEFT or RIGHT, found \"\(other)\"")
        }
    }
}
