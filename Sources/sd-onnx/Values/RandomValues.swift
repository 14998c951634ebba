import GraphRuntime
import SDPipeline

/// Random tensors of every type that a look at a model needs, in one sequence of a generator: normal numbers; whole numbers of 8 and 16
/// bits in their whole range; of 32 and 64 bits, which are most often indices or masks, 0 and 1, which every index and mask may be; words.
struct RandomValues {
    private var generator: TorchGenerator

    init(seed: UInt64) { generator = TorchGenerator(seed: seed) }

    /// - Throws: ``CommandFailure`` for types that it has no numbers for.
    mutating func tensor(_ dtype: DType, shape: Shape, name: String) throws -> Tensor {
        switch dtype {
        case .float32: return try Tensor(generator.randn(count: shape.count), shape: shape)
        case .float64: return try Tensor(generator.randn(count: shape.count).map(Double.init), shape: shape)
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: shape)
            try HalfPrecision.narrow(Tensor(generator.randn(count: shape.count), shape: shape), into: result)
            return try result.finish()
        case .complex64:
            return try Tensor(
                dtype: dtype, shape: shape, bytes: Array(Tensor(generator.randn(count: 2 * shape.count)).bytes))
        case .complex128:
            let parts = generator.randn(count: 2 * shape.count).map(Double.init)
            return try Tensor(dtype: dtype, shape: shape, bytes: Array(Tensor(parts).bytes))
        case .int8, .uint8, .int4, .uint4, .int2, .uint2, .int16, .uint16:
            let bytes = generator.randint(below: 256, count: dtype.byteCount(of: shape.count) ?? 0)
            return try Tensor(dtype: dtype, shape: shape, bytes: bytes.map { UInt8(truncatingIfNeeded: $0) })
        case .int32: return try Tensor(bits(shape).map { Int32($0) }, shape: shape)
        case .int64: return try Tensor(bits(shape).map { Int64($0) }, shape: shape)
        case .uint32: return try Tensor(bits(shape).map { UInt32($0) }, shape: shape)
        case .uint64: return try Tensor(bits(shape).map { UInt64($0) }, shape: shape)
        case .bool: return try Tensor(bits(shape).map { $0 == 1 }, shape: shape)
        case .string: return try Tensor(strings: (0..<shape.count).map { _ in word() }, shape: shape)
        case .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float4E2M1, .float8E8M0:
            throw CommandFailure("The input \"\(name)\" is of type \(dtype), which can't be made up; give it with --input.")
        }
    }

    private mutating func bits(_ shape: Shape) -> [Int] { generator.randint(below: 2, count: shape.count) }

    private mutating func word() -> String {
        String(decoding: generator.randint(below: 26, count: 5).map { UInt8(ascii: "a") + UInt8($0) }, as: UTF8.self)
    }
}
