import GraphRuntime

/// x - zero point, as int32.
///
/// - Parameters:
///   - x: int8 or uint8.
///   - zero: one number, or one for each index along `axis`; nil for 0.
/// - Throws: ``TensorError`` where the zero point's shape doesn't fit x.
func centred(_ x: Tensor, zero: Tensor?, axis: Int, threads: ThreadPool) throws -> [Int32] {
    guard x.dtype == .int8 || x.dtype == .uint8 else { throw TensorError("expected int8 or uint8, found \(x.dtype)") }
    var values = try cast(x, to: .int32, threads: threads).array(of: Int32.self)
    guard let zero else { return values }
    let zeros = try cast(zero, to: .int32, threads: threads).array(of: Int32.self)
    // Of several axes (a zero point of shape [M, 1]) all but one have extent 1.
    let shape = zeros.count == 1 ? Shape.scalar : try Shape([zeros.count])
    try QuantizationLayout(x.shape, scale: shape, axis: axis, blockSize: 0).forEachRun { start, first, step, count in
        for index in start..<start + count { values[index] &-= zeros[first] }
    }
    return values
}

/// y = saturate(round(sum * factor) + zero point), halves to even; y is int8 or uint8.
///
/// - Parameters:
///   - factors: one for all, or one for each index along `axis`.
///   - zero: one number.
/// - Throws: ``TensorError`` where shapes or types don't fit.
func requantize(
    _ sums: Tensor, factors: [Double], axis: Int, zero: Tensor, into y: MutableTensor, threads: ThreadPool
) throws {
    guard let range = y.dtype.quantizedRange, zero.count == 1 else {
        throw TensorError("can't quantize to \(y.dtype) with a zero point of shape \(zero.shape)")
    }
    let offset = try cast(zero, to: .float64, threads: threads).array(of: Double.self)[0]
    let sums = try sums.view(of: Int32.self)
    let levels = try MutableTensor(dtype: .int32, shape: y.shape)
    let shape = factors.count == 1 ? Shape.scalar : try Shape([factors.count])
    let layout = try QuantizationLayout(y.shape, scale: shape, axis: axis, blockSize: 0)
    try levels.withMutableSpan(of: Int32.self) { output in
        layout.forEachRun { start, first, step, count in
            for index in start..<start + count {
                let level = (Double(sums[index]) * factors[first]).rounded(.toNearestOrEven) + offset
                output[index] = level.isNaN ? Int32(offset) : Int32(min(max(level, range.least), range.largest))
            }
        }
    }
    try cast(levels.finish(), into: y, threads: threads)
}

/// The factors that bring sums of products to the output's scale: a_scale * b_scale / y_scale, with one of the first two possibly
/// one for each index along an axis.
///
/// - Throws: ``TensorError`` where more than one of them has several numbers.
func requantizationFactors(_ a: Tensor, _ b: Tensor, _ y: Tensor, threads: ThreadPool) throws -> [Double] {
    let scales = try [a, b, y].map { try cast($0, to: .float64, threads: threads).array(of: Double.self) }
    guard scales[2].count == 1, scales[0].count == 1 || scales[1].count == 1 else {
        throw TensorError("scales of shapes \(a.shape), \(b.shape) and \(y.shape) aren't supported together")
    }
    return scales[0].flatMap { first in scales[1].map { first * $0 / scales[2][0] } }
}
