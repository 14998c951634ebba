import GraphRuntime

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
    let (m, k, n) = (extents.m, extents.k, extents.n)
    for index in 0..<extents.batch.count {
        let pair = extents.matrices(index)
        try multiplyIntegers(
            left, from: pair.a * m * k, right, from: pair.b * k * n, into: result, at: index * m * n, m: m, k: k, n: n,
            threads: threads)
    }
    return try result.finish()
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
            product, factors: factors, axis: max(axis, 0), zero: context.input(7), into: context.output(0), threads: threads)
    }

    static let definition = OperatorDefinition("QLinearMatMul", since: 10) { decoder in
        try decoder.requireInputs(8...8)
        return QLinearMatMul()
    }
}
