import GraphRuntime

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
    switch x.dtype {
    case .float32:
        try map(x, into: y, threads: threads) { (x: Float) -> Bool in
            nan ? x.isNaN : (x == .infinity && positive) || (x == -.infinity && negative)
        }
    case .float64:
        try map(x, into: y, threads: threads) { (x: Double) -> Bool in
            nan ? x.isNaN : (x == .infinity && positive) || (x == -.infinity && negative)
        }
    case .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ:
        let wide = try cast(x, to: .float32, threads: threads)
        try testFloats(wide, nan: nan, negative: negative, positive: positive, into: y, threads: threads)
    default: throw TensorError("expected floating-point numbers, found \(x.dtype)")
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
