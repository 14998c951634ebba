import GraphRuntime

/// Rounded to odd: towards zero, with the last bit set where something was lost, so that a later rounding to fewer bits gives what
/// a single one would (S. Boldo and G. Melquiond, "Emulation of a FMA and Correctly Rounded Sums", 2008).
private enum RoundToOdd: UnaryKernel {
    static func apply(_ x: Double) -> Float {
        let nearest = Float(x)
        guard nearest.isFinite, Double(nearest) != x else { return nearest }
        let bits = Double(nearest).magnitude > x.magnitude ? nearest.bitPattern &- 1 : nearest.bitPattern
        return Float(bitPattern: bits | 1)
    }
}

/// How Cast-19 and later treat numbers that the 8-bit formats can't hold.
struct CastRounding: Sendable {
    var saturate = true
    var mode = MiniFloat.RoundMode.up
}

/// x with elements of another type; x itself where it has that type already.
///
/// - Throws: ``TensorError`` where one of the types is complex, or a string isn't a number.
func cast(_ x: Tensor, to dtype: DType, rounding: CastRounding = CastRounding(), threads: ThreadPool) throws -> Tensor {
    if x.dtype == dtype { return x }
    if dtype == .string { return try formatStrings(x, threads: threads) }
    let result = try MutableTensor(dtype: dtype, shape: x.shape)
    try cast(x, into: result, rounding: rounding, threads: threads)
    return result.tensor
}

/// y = x, converted: floats to integers lose their fraction; integers to narrower ones their upper bits; to bool, all but zero is
/// true; to narrower floats, rounded to nearest with ties to even.
///
/// - Throws: ``TensorError`` where one of the types is complex, or a string isn't a number.
func cast(_ x: Tensor, into y: MutableTensor, rounding: CastRounding = CastRounding(), threads: ThreadPool) throws {
    if x.dtype == y.dtype { return try y.copy(from: x) }
    if let run = try preparedConversion(x, into: y) { return try run(threads) }
    if x.dtype.isHalf, y.dtype == .float32 { return try HalfPrecision.widen(x, into: y, threads: threads) }
    let x = try readable(x, threads: threads)
    switch y.dtype {
    case .float16, .bfloat16:
        try HalfPrecision.narrow(single(x, threads: threads), into: y, threads: threads)
    case .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float4E2M1, .float8E8M0:
        try writeCodes(single(x, threads: threads), into: y, rounding: rounding)
    case .int4, .uint4, .int2, .uint2:
        let wide = try cast(x, to: .int64, threads: threads)
        try BitFields.pack(wide.array(of: Int64.self).map { UInt8(truncatingIfNeeded: $0) }, into: y)
    default:
        if x.dtype == y.dtype { return try y.copy(from: x) }
        guard let run = try preparedConversion(x, into: y) else { throw TensorError("can't convert \(x.dtype) to \(y.dtype)") }
        try withExtendedLifetime(x) { try run(threads) }
    }
}

/// x as numbers that arithmetic is compiled for, without loss: narrow floats widened, truth values as 0 and 1, strings parsed.
private func readable(_ x: Tensor, threads: ThreadPool) throws -> Tensor {
    switch x.dtype {
    case .float16, .bfloat16: return try HalfPrecision.widen(x, threads: threads)
    case .string: return try parseStrings(x)
    case .uint4, .uint2: return try Tensor(BitFields.unpack(x), shape: x.shape)
    case .int4: return try Tensor(BitFields.unpack(x).map { Int8(bitPattern: $0 << 4) >> 4 }, shape: x.shape)
    case .int2: return try Tensor(BitFields.unpack(x).map { Int8(bitPattern: $0 << 6) >> 6 }, shape: x.shape)
    case .float4E2M1:
        guard let format = MiniFloat.format(of: x.dtype) else { return x }
        return try Tensor(BitFields.unpack(x).map { format.values[Int($0)] }, shape: x.shape)
    case .float8E8M0: return try Tensor(x.bytes.map { ScaleFloat.value($0) }, shape: x.shape)
    case .complex64, .complex128: throw TensorError("can't convert \(x.dtype)")
    default:
        guard let format = MiniFloat.format(of: x.dtype) else { return x }
        return try Tensor(x.bytes.map { format.values[Int($0)] }, shape: x.shape)
    }
}

/// x as float32 for a later rounding to fewer bits.
private func single(_ x: Tensor, threads: ThreadPool) throws -> Tensor {
    if x.dtype == .float32 { return x }
    let result = try MutableTensor(dtype: .float32, shape: x.shape)
    let double = try cast(x, to: .float64, threads: threads)
    try map(RoundToOdd.self, double, into: result, threads: threads)
    return result.tensor
}

private func writeCodes(_ x: Tensor, into y: MutableTensor, rounding: CastRounding) throws {
    let input = try x.view(of: Float.self)
    if y.dtype == .float8E8M0 {
        return try y.withMutableBytes { bytes in
            for index in input.indices {
                bytes[index] = ScaleFloat.code(input[index], mode: rounding.mode, saturate: rounding.saturate)
            }
        }
    }
    guard let format = MiniFloat.format(of: y.dtype) else { throw TensorError("can't convert to \(y.dtype)") }
    if y.dtype == .float4E2M1 { return try BitFields.pack(input.map { format.code($0, saturate: true) }, into: y) }
    try y.withMutableBytes { bytes in
        for index in input.indices { bytes[index] = format.code(input[index], saturate: rounding.saturate) }
    }
}

private func parseStrings(_ x: Tensor) throws -> Tensor {
    let strings = x.strings ?? []
    // Integers beyond 2^53 must not pass through a double.
    let integers = strings.compactMap { Int64($0) }
    if integers.count == strings.count { return try Tensor(integers, shape: x.shape) }
    return try Tensor(
        strings.map { string throws(TensorError) -> Double in
            switch string.lowercased() {
            case "inf", "+inf": return .infinity
            case "-inf": return -.infinity
            case "nan": return .nan
            default:
                guard let value = Double(string) else { throw TensorError("\"\(string)\" isn't a number") }
                return value
            }
        }, shape: x.shape)
}

private func formatStrings(_ x: Tensor, threads: ThreadPool) throws -> Tensor {
    switch x.dtype {
    case .bool: return try Tensor(strings: x.array(of: Bool.self).map { $0 ? "True" : "False" }, shape: x.shape)
    case .float16: return try Tensor(strings: x.array(of: Float16.self).map { describe("\($0)") }, shape: x.shape)
    default: break
    }
    let x = try readable(x, threads: threads)
    struct Visitor: NumericVisitor {
        let x: Tensor

        func visit<Element: NumericElement>(_: Element.Type) throws -> Tensor {
            try Tensor(strings: x.array(of: Element.self).map { describe("\($0)") }, shape: x.shape)
        }
    }
    return try x.dtype.dispatch(Visitor(x: x))
}

/// The names of the special numbers as ONNX writes them.
private func describe(_ text: String) -> String {
    switch text {
    case "inf": "INF"
    case "-inf": "-INF"
    case "nan", "-nan": "NaN"
    default: text
    }
}
