import GraphRuntime

private enum IsNaN<Element: NumericElement & BinaryFloatingPoint>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Bool { x != x }
}

private enum IsInfinite<Element: NumericElement & BinaryFloatingPoint>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Bool { x.magnitude == .infinity }
}

private enum IsPositiveInfinity<Element: NumericElement & BinaryFloatingPoint>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Bool { x == .infinity }
}

private enum IsNegativeInfinity<Element: NumericElement & BinaryFloatingPoint>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Bool { x == -.infinity }
}

/// y = whether x is NaN, or infinite with a sign that is asked for.
///
/// - Parameters:
///   - nan: looks for NaN, and for nothing else.
///   - negative: whether minus infinity counts.
///   - positive: whether plus infinity counts.
/// - Throws: ``TensorError`` for types that aren't floats of 8, 32 or 64 bits.
func testFloats(
    _ x: Tensor, nan: Bool, negative: Bool = true, positive: Bool = true, into y: MutableTensor, threads: ThreadPool
) throws {
    struct Visitor: FloatVisitor {
        let x: Tensor
        let nan: Bool
        let negative: Bool
        let positive: Bool
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & BinaryFloatingPoint>(_: Element.Type) throws {
            switch (nan, negative, positive) {
            case (true, _, _): try map(IsNaN<Element>.self, x, into: y, threads: threads)
            case (false, true, true): try map(IsInfinite<Element>.self, x, into: y, threads: threads)
            case (false, false, true): try map(IsPositiveInfinity<Element>.self, x, into: y, threads: threads)
            case (false, true, false): try map(IsNegativeInfinity<Element>.self, x, into: y, threads: threads)
            case (false, false, false): try y.fill(with: false)
            }
        }
    }
    switch x.dtype {
    case .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ:
        let wide = try cast(x, to: .float32, threads: threads)
        try testFloats(wide, nan: nan, negative: negative, positive: positive, into: y, threads: threads)
    default:
        try x.dtype.dispatchFloat(
            Visitor(x: x, nan: nan, negative: negative, positive: positive, y: y, threads: threads))
    }
}

/// IsNaN-20 and IsInf-20.
struct FloatTest: Operator {
    let isNaN: Bool
    let detectsNegative: Bool
    let detectsPositive: Bool

    var floatingPointTypes: Set<DType>? {
        [.float32, .float64, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ]
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .bool, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try testFloats(
            context.input(0), nan: isNaN, negative: detectsNegative, positive: detectsPositive, into: context.output(0),
            threads: context.threads)
    }

    static let definitions = [
        OperatorDefinition("IsNaN", since: 9) { decoder in
            try decoder.requireInputs(1...1)
            return FloatTest(isNaN: true, detectsNegative: false, detectsPositive: false)
        },
        OperatorDefinition("IsInf", since: 10) { decoder in
            try decoder.requireInputs(1...1)
            return FloatTest(
                isNaN: false, detectsNegative: try decoder.bool("detect_negative", default: true),
                detectsPositive: try decoder.bool("detect_positive", default: true))
        },
    ]
}
