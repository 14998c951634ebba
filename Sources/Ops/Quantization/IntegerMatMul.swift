import GraphRuntime

/// The extents of a matrix product of stacks of matrices (numpy.matmul).
private struct MatMulExtents {
    let m: Int
    let k: Int
    let n: Int
    let batch: Shape
    let output: Shape
    private let batches: [Shape]

    init(_ a: Shape, _ b: Shape) throws {
        guard a.rank > 0, b.rank > 0 else { throw TensorError("can't multiply scalars of shapes \(a) and \(b) as matrices") }
        let left = a.rank == 1 ? [1] + a.dimensions : a.dimensions
        let right = b.rank == 1 ? b.dimensions + [1] : b.dimensions
        m = left[left.count - 2]
        k = left[left.count - 1]
        n = right[right.count - 1]
        guard right[right.count - 2] == k else { throw TensorError("matrices of shapes \(a) and \(b) don't fit") }
        batches = [try Shape(left.dropLast(2)), try Shape(right.dropLast(2))]
        batch = try batches[0].broadcast(with: batches[1])
        output = try Shape(batch.dimensions + (a.rank == 1 ? [] : [m]) + (b.rank == 1 ? [] : [n]))
    }

    /// For each matrix of the output the ones that it is the product of.
    var pairs: [(left: Int, right: Int)] {
        let plan = BroadcastPlan(output: batch, operands: batches)
        var result: [(left: Int, right: Int)] = []
        plan.forEachRow(in: 0..<batch.count) { row in
            for index in 0..<row.count {
                result.append((row.offsets.0 + index * plan.steps.0, row.offsets.1 + index * plan.steps.1))
            }
        }
        return result
    }
}

/// (a - its zero point) (b - its zero point), in int32.
///
/// - Parameters:
///   - aZero: one number, or one for each row; nil for 0.
///   - bZero: one number, or one for each column; nil for 0.
/// - Throws: ``TensorError`` where types or shapes don't fit.
func integerMatMul(_ a: Tensor, aZero: Tensor?, _ b: Tensor, bZero: Tensor?, threads: ThreadPool) throws -> Tensor {
    let extents = try MatMulExtents(a.shape, b.shape)
    let left = try centred(a, zero: aZero, axis: max(a.shape.rank - 2, 0), threads: threads)
    let right = try centred(b, zero: bZero, axis: b.shape.rank - 1, threads: threads)
    let result = try MutableTensor(dtype: .int32, shape: extents.output)
    let output = try result.buffer(of: Int32.self)
    let (m, k, n) = (extents.m, extents.k, extents.n)
    left.withUnsafeBufferPointer { left in
        right.withUnsafeBufferPointer { right in
            for (index, pair) in extents.pairs.enumerated() {
                multiplyIntegers(
                    UnsafeBufferPointer(rebasing: left[pair.left * m * k..<(pair.left + 1) * m * k]),
                    UnsafeBufferPointer(rebasing: right[pair.right * k * n..<(pair.right + 1) * k * n]),
                    UnsafeMutableBufferPointer(rebasing: output[index * m * n..<(index + 1) * m * n]), m: m, k: k, n: n,
                    threads: threads)
            }
        }
    }
    return result.tensor
}

/// MatMulInteger-10.
struct MatMulInteger: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let a = try inputs[0].shape, let b = try inputs[1].shape else { return [Fact(dtype: .int32)] }
        return [Fact(dtype: .int32, shape: try MatMulExtents(a, b).output)]
    }

    func run(_ context: inout RunContext) throws {
        let product = try integerMatMul(
            context.input(0), aZero: context.optionalInput(2), context.input(1), bZero: context.optionalInput(3),
            threads: context.threads)
        try context.output(0).copy(from: product)
    }

    static let definition = OperatorDefinition("MatMulInteger", since: 10) { decoder in
        try decoder.requireInputs(2...4)
        return MatMulInteger()
    }
}

/// QLinearMatMul-10 and -21, on int8 and uint8.
struct QLinearMatMul: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[7].dtype
        guard let a = try inputs[0].shape, let b = try inputs[3].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try MatMulExtents(a, b).output)]
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        let product = try integerMatMul(
            context.input(0), aZero: context.input(2), context.input(3), bZero: context.input(5), threads: threads)
        let factors = try requantizationFactors(context.input(1), context.input(4), context.input(6), threads: threads)
        let axis = try context.input(1).count > 1 ? product.shape.rank - 2 : product.shape.rank - 1
        try requantize(
            product.buffer(of: Int32.self), factors: factors, axis: max(axis, 0), zero: context.input(7),
            into: context.output(0), threads: threads)
        withExtendedLifetime(product) {}
    }

    static let definition = OperatorDefinition("QLinearMatMul", since: 10) { decoder in
        try decoder.requireInputs(8...8)
        return QLinearMatMul()
    }
}
