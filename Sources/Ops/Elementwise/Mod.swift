import GraphRuntime

/// The remainder with the divisor's sign (Python's `%`); by zero gives 0.
private enum FlooredRemainder<Element: NumericElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element {
        guard b != 0 else { return 0 }
        let rest = a.remainderReportingOverflow(dividingBy: b).partialValue
        return rest != 0 && (rest < 0) != (b < 0) ? rest &+ b : rest
    }
}

/// The remainder with the dividend's sign (C's `%`); by zero gives 0.
private enum TruncatedRemainder<Element: NumericElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element {
        b == 0 ? 0 : a.remainderReportingOverflow(dividingBy: b).partialValue
    }
}

private enum FlooredDoubleRemainder: BinaryKernel {
    @inline(__always) static func apply(_ a: Double, _ b: Double) -> Double { flooredRemainder(a, b) }
}

private enum TruncatedDoubleRemainder: BinaryKernel {
    @inline(__always) static func apply(_ a: Double, _ b: Double) -> Double { a.truncatingRemainder(dividingBy: b) }
}

/// y = a mod b, broadcast.
///
/// - Parameter truncated: C's `fmod` rather than Python's `%`.
/// - Throws: ``TensorError`` for types that aren't numbers, or differ.
func remainder(_ a: Tensor, _ b: Tensor, truncated: Bool, into y: MutableTensor, threads: ThreadPool) throws {
    struct Integers: IntegerVisitor {
        let a: Tensor
        let b: Tensor
        let truncated: Bool
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws {
            if truncated {
                try broadcast(TruncatedRemainder<Element>.self, a, b, into: y, threads: threads)
            } else {
                try broadcast(FlooredRemainder<Element>.self, a, b, into: y, threads: threads)
            }
        }
    }
    switch a.dtype {
    case .float32 where !truncated: try broadcast(FloatFlooredRemainder.self, a, b, into: y, threads: threads)
    case .float64 where !truncated: try broadcast(FlooredDoubleRemainder.self, a, b, into: y, threads: threads)
    case .float32: try broadcast(FloatTruncatedRemainder.self, a, b, into: y, threads: threads)
    case .float64: try broadcast(TruncatedDoubleRemainder.self, a, b, into: y, threads: threads)
    default: try a.dtype.dispatchInteger(Integers(a: a, b: b, truncated: truncated, y: y, threads: threads))
    }
}

/// Mod (10, 13, 28).
struct Mod: Operator {
    let isTruncated: Bool
    /// Whether floating-point numbers may have the divisor's sign, as since version 28.
    let floorsFloats: Bool

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<2)
        if let dtype, dtype.isFloat, !isTruncated, !floorsFloats {
            throw TensorError("attribute fmod should be 1 for \(dtype), found 0")
        }
        return [Fact(dtype: dtype, shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try remainder(
            context.input(0), context.input(1), truncated: isTruncated, into: context.output(0), threads: context.threads)
    }

    static let definitions = OperatorDefinition.all("Mod", since: [10, 28]) { decoder in
        try decoder.requireInputs(2...2)
        return Mod(isTruncated: try decoder.bool("fmod", default: false), floorsFloats: decoder.version >= 28)
    }
}
