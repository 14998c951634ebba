import GraphRuntime

/// y = the index of the largest (or least) element of x along an axis, as int64.
///
/// - Parameter selectsLast: the last of equal elements rather than the first.
/// - Throws: ``TensorError`` for types that aren't numbers, and for an axis without elements.
func argExtreme(
    _ x: Tensor, axis: Int, largest: Bool, selectsLast: Bool, into y: MutableTensor, threads: ThreadPool
) throws {
    struct Visitor: NumericVisitor {
        let x: Tensor
        let split: AxisSplit
        let largest: Bool
        let selectsLast: Bool
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            if split.inner > 1 {
                return try chooseAmongRows(
                    Element.self, x, split, largest: largest, selectsLast: selectsLast, into: y, threads: threads)
            }
            try chooseInLines(
                Element.self, x, count: split.count, largest: largest, selectsLast: selectsLast, into: y, threads: threads)
        }
    }
    guard x.shape[axis] > 0 else { throw TensorError("axis \(axis) of shape \(x.shape) has no elements to choose from") }
    let split = AxisSplit(x.shape, axis: axis)
    try x.dtype.dispatch(
        Visitor(x: x, split: split, largest: largest, selectsLast: selectsLast, y: y, threads: threads))
}

/// ArgMax-1 to -13 and ArgMin-1 to -13.
struct ArgExtreme: Operator {
    let isLargest: Bool
    let axis: Int
    let keepsDimensions: Bool
    let selectsLast: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: .int64)] }
        let axis = try shape.axis(axis)
        var dimensions = shape.dimensions
        if keepsDimensions { dimensions[axis] = 1 } else { dimensions.remove(at: axis) }
        return [Fact(dtype: .int64, shape: try Shape(dimensions))]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try argExtreme(
            x, axis: x.shape.axis(axis), largest: isLargest, selectsLast: selectsLast, into: context.output(0),
            threads: context.threads)
    }

    static let definitions = [("ArgMax", true), ("ArgMin", false)].map { type, isLargest in
        OperatorDefinition(type, since: 1) { decoder in
            try decoder.requireInputs(1...1)
            return ArgExtreme(
                isLargest: isLargest, axis: try decoder.int("axis", default: 0),
                keepsDimensions: try decoder.bool("keepdims", default: true),
                selectsLast: try decoder.bool("select_last_index", default: false))
        }
    }
}
