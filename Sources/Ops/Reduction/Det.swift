import GraphRuntime

/// ONNX Det (11, 22): the determinants of square matrices [..., n, n], by elimination with partial pivoting in double precision.
struct Det: Operator {
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let dtype = x.dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        guard let shape = x.shape else { return [Fact(dtype: x.dtype)] }
        guard shape.rank >= 2, shape[shape.rank - 1] == shape[shape.rank - 2] else {
            throw TensorError("expected square matrices, found \(shape)")
        }
        return [Fact(dtype: x.dtype, shape: try Shape(Array(shape.dimensions.dropLast(2))))]
    }

    func run(_ context: inout RunContext) throws {
        let (x, output) = (try context.input(0), try context.output(0))
        let extent = x.shape[x.shape.rank - 1]
        func compute<Element: NumericElement & BinaryFloatingPoint>(_ type: Element.Type) throws {
            let source = try x.view(of: type)
            let grain = max(4096 / max(extent * extent, 1), 1)
            try output.forEachSlice(of: type, grain: grain, threads: context.threads) { range, target in
                for (place, index) in range.enumerated() {
                    let start = index * extent * extent
                    target[place] = .converting(determinant((0..<extent * extent).map { source[start + $0].double }, extent))
                }
            }
        }
        try x.dtype == .float64 ? compute(Double.self) : compute(Float.self)
    }

    static let definitions = OperatorDefinition.all("Det", since: [11, 22]) { decoder in
        try decoder.requireInputs(1...1)
        return Det()
    }
}

/// The determinant of a row-major n × n matrix; 1 for n = 0.
private func determinant(_ matrix: [Double], _ n: Int) -> Double {
    var (a, result) = (matrix, 1.0)
    for column in 0..<n {
        var pivot = column
        for row in column..<n where abs(a[row * n + column]) > abs(a[pivot * n + column]) { pivot = row }
        let value = a[pivot * n + column]
        if value == 0 { return 0 }
        if pivot != column {
            result = -result
            for index in column..<n { a.swapAt(pivot * n + index, column * n + index) }
        }
        result *= value
        for row in column + 1..<max(n, column + 1) {
            let factor = a[row * n + column] / value
            for index in column..<n { a[row * n + index] -= factor * a[column * n + index] }
        }
    }
    return result
}
