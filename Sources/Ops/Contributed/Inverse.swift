import GraphRuntime

/// Inverse (com.microsoft, 1): the inverses of square matrices [.., n, n], by Gauss-Jordan elimination with the largest element of a column
/// as its pivot; of a singular one infinities and NaN.
struct Inverse: Operator {
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape {
            guard shape.rank >= 2, shape[shape.rank - 1] == shape[shape.rank - 2] else {
                throw TensorError("expected square matrices, found shape \(shape)")
            }
        }
        return [x.withoutValue]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let values = try cast(x, to: .float64, threads: context.threads).array(of: Double.self)
        let count = x.shape.dimensions.last ?? 0
        var result: [Double] = []
        result.reserveCapacity(values.count)
        for start in stride(from: 0, to: values.count, by: max(count * count, 1)) {
            result += Self.inverse(Array(values[start..<start + count * count]), count)
        }
        try cast(Tensor(result, shape: x.shape), into: context.output(0), threads: context.threads)
    }

    private static func inverse(_ matrix: [Double], _ count: Int) -> [Double] {
        var (a, b) = (matrix, [Double](repeating: 0, count: count * count))
        for index in 0..<count { b[index * count + index] = 1 }
        for column in 0..<count {
            let pivot = (column..<count).max { abs(a[$0 * count + column]) < abs(a[$1 * count + column]) } ?? column
            for index in 0..<count where pivot != column {
                a.swapAt(pivot * count + index, column * count + index)
                b.swapAt(pivot * count + index, column * count + index)
            }
            let scale = 1 / a[column * count + column]
            for index in 0..<count {
                a[column * count + index] *= scale
                b[column * count + index] *= scale
            }
            for row in 0..<count where row != column {
                let factor = a[row * count + column]
                for index in 0..<count {
                    a[row * count + index] -= factor * a[column * count + index]
                    b[row * count + index] -= factor * b[column * count + index]
                }
            }
        }
        return b
    }

    static let definition = OperatorDefinition("Inverse", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(1...1)
        return Inverse()
    }
}
