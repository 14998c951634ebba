import GraphRuntime

/// The number of elements that Range gives: max(ceil((limit - start) / delta), 0).
///
/// - Throws: ``TensorError`` where the bounds aren't scalars of one numeric type, the step is 0, or the count is beyond reach.
func rangeCount(start: Tensor, limit: Tensor, delta: Tensor) throws -> Int {
    for tensor in [start, limit, delta] {
        guard tensor.count == 1, tensor.dtype == start.dtype else {
            throw TensorError(
                "the bounds should be three scalars of one type, found \(start.dtype), \(tensor.dtype)\(tensor.shape)")
        }
    }
    struct Visitor: NumericVisitor {
        let bounds: [Tensor]

        func visit<Element: NumericElement>(_: Element.Type) throws -> Int {
            let values = try bounds.map { try $0.view(of: Element.self)[0] }
            guard values[2] != .zero else { throw TensorError("the step of a range is 0") }
            let length = ((values[1].double - values[0].double) / values[2].double).rounded(.up)
            guard let count = Int(exactly: max(length, 0)), count <= 1 << 48 else {
                throw TensorError("a range from \(values[0]) to \(values[1]) by \(values[2]) has too many elements")
            }
            return count
        }
    }
    return try start.dtype.dispatch(Visitor(bounds: [start, limit, delta]))
}

/// y[i] = start + i * delta.
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func fillRange(start: Tensor, delta: Tensor, into y: MutableTensor) throws {
    struct Visitor: NumericVisitor {
        let start: Tensor
        let delta: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement>(_: Element.Type) throws {
            let first = try start.view(of: Element.self)[0]
            let step = try delta.view(of: Element.self)[0]
            try y.withMutableSpan(of: Element.self) { output in
                for index in 0..<output.count { output[index] = .sum(first, .product(.converting(Int64(index)), step)) }
            }
        }
    }
    try start.dtype.dispatch(Visitor(start: start, delta: delta, y: y))
}

/// Range (11, 27); half and bfloat16 numbers are computed in float32.
struct RangeOperator: Operator {
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<3)
        guard let start = try inputs[0].tensor, let limit = try inputs[1].tensor, let delta = try inputs[2].tensor else {
            return [Fact(dtype: dtype)]
        }
        let bounds = try [start, limit, delta].map { try HalfPrecision.widen($0) }
        let count = try rangeCount(start: bounds[0], limit: bounds[1], delta: bounds[2])
        return [Fact(dtype: dtype, shape: try Shape([count]))]
    }

    func run(_ context: inout RunContext) throws {
        try fillRange(start: context.input(0), delta: context.input(2), into: context.output(0))
    }

    static let definitions = OperatorDefinition.all("Range", since: [11, 27]) { decoder in
        try decoder.requireInputs(3...3)
        if decoder.version >= 27 { try NormalizationArguments.requireStashType(&decoder) }
        return RangeOperator()
    }
}
