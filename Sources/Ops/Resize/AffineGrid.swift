import GraphRuntime

/// ONNX AffineGrid (20): the grid of coordinates that affine maps give, for ``GridSample``.
struct AffineGrid: Operator {
    var alignsCorners: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private func output(_ theta: Shape?, size: [Int]) throws -> Shape {
        let rank = size.count - 2
        guard rank == 2 || rank == 3 else { throw TensorError("a size of \(size) isn't that of pictures or volumes") }
        if let theta, theta.dimensions != [size[0], rank, rank + 1] {
            throw TensorError("maps of shape \(theta) don't fit a size of \(size)")
        }
        return try Shape([size[0]] + size[2...] + [rank])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let theta = try inputs[0]
        guard let size = try inputs.integers(1) else { return [Fact(dtype: theta.dtype)] }
        return [Fact(dtype: theta.dtype, shape: try output(theta.shape, size: size))]
    }

    func run(_ context: inout RunContext) throws {
        let theta = try context.input(0)
        let size = try context.integers(1)
        _ = try output(theta.shape, size: size)
        if theta.dtype == .float64 {
            try fill(theta, size, Double.self, context.output(0))
        } else {
            try fill(theta, size, Float.self, context.output(0))
        }
    }

    private func fill<Element: TensorElement & BinaryFloatingPoint>(
        _ theta: Tensor, _ size: [Int], _ type: Element.Type, _ output: MutableTensor
    ) throws {
        let maps = try theta.view(of: type)
        let extents = Array(size[2...])
        let (rank, points) = (extents.count, try Shape(extents).count)
        var place = [Element](repeating: 0, count: rank + 1)
        place[rank] = 1
        try output.withMutableSpan(of: type) { target in
            for item in 0..<size[0] {
                for point in 0..<points {
                    var rest = point
                    // Coordinates name the innermost axis first.
                    for axis in extents.indices.reversed() {
                        place[rank - 1 - axis] = coordinate(rest % extents[axis], of: extents[axis])
                        rest /= extents[axis]
                    }
                    for row in 0..<rank {
                        var sum: Element = 0
                        for column in 0...rank { sum += maps[(item * rank + row) * (rank + 1) + column] * place[column] }
                        target[(item * points + point) * rank + row] = sum
                    }
                }
            }
        }
    }

    private func coordinate<Element: BinaryFloatingPoint>(_ index: Int, of extent: Int) -> Element {
        if alignsCorners { return extent > 1 ? 2 * Element(index) / Element(extent - 1) - 1 : 0 }
        return (2 * Element(index) + 1) / Element(extent) - 1
    }
}

extension AffineGrid {
    static let definitions = OperatorDefinition.all("AffineGrid", since: [20]) { decoder in
        try decoder.requireInputs(2...2)
        return AffineGrid(alignsCorners: try decoder.bool("align_corners", default: false))
    }
}
