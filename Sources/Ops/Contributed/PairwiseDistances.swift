import GraphRuntime

/// CDist (com.microsoft, 1), as converters of nearest neighbours and of Gaussian processes write it: A [M, F] and B [K, F] give the Euclidean
/// distance of each pair of rows, or its square, [M, K].
struct PairwiseDistances: Operator {
    let isSquared: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private static func shape(_ a: Shape, _ b: Shape) throws -> Shape {
        guard a.rank == 2, b.rank == 2, a[1] == b[1] else {
            throw TensorError("rows of \(a) and of \(b) have no distances, expected as many features in two matrices")
        }
        return try Shape([a[0], b[0]])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (a, b) = (try inputs[0], try inputs[1])
        guard let first = a.shape, let second = b.shape else { return [Fact(dtype: a.dtype)] }
        return [Fact(dtype: a.dtype, shape: try Self.shape(first, second))]
    }

    func run(_ context: inout RunContext) throws {
        switch try context.input(0).dtype {
        case .float32: try run(Float.self, &context)
        case .float64: try run(Double.self, &context)
        case let dtype: throw TensorError("expected floating-point numbers, found \(dtype)")
        }
    }

    /// Sums of squared differences: |a|² - 2 a·b + |b|² would cancel where points are close.
    private func run<Element: TensorElement & BinaryFloatingPoint>(_ type: Element.Type, _ context: inout RunContext) throws {
        let (a, b) = (try context.input(0), try context.input(1))
        let shape = try Self.shape(a.shape, b.shape)
        let (rows, columns) = (try a.view(of: type), try b.view(of: type))
        let (count, features) = (shape[1], a.shape[1])
        try context.output(0).forEachSlice(
            of: type, unit: count, grain: max(BroadcastPlan.grain / max(count * features, 1), 1), threads: context.threads
        ) { slices, y in
            for row in slices {
                for column in 0..<count {
                    var sum: Element = 0
                    for feature in 0..<features {
                        let difference = rows[row * features + feature] - columns[column * features + feature]
                        sum += difference * difference
                    }
                    y[(row - slices.lowerBound) * count + column] = isSquared ? sum : sum.squareRoot()
                }
            }
        }
    }

    static let definition = OperatorDefinition("CDist", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(2...2)
        let metric = try decoder.string("metric", default: "sqeuclidean")
        guard metric == "sqeuclidean" || metric == "euclidean" else {
            throw TensorError("attribute metric should be sqeuclidean or euclidean, found \"\(metric)\"")
        }
        return PairwiseDistances(isSquared: metric == "sqeuclidean")
    }
}
