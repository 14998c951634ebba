import GraphRuntime

/// MurmurHash3 (com.microsoft, 1): each element's hash of 32 bits, of the bytes of a text or of a number's 4 or 8 (Appleby, MurmurHash3,
/// the variant x86_32, https://github.com/aappleby/smhasher).
struct MurmurHash3: Operator {
    let seed: UInt32
    /// Whether hashes are uint32, else int32.
    let isPositive: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: isPositive ? .uint32 : .int32, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let hashes = try hashes(x)
        try context.output(0).copy(
            from: isPositive
                ? Tensor(hashes, shape: x.shape) : Tensor(hashes.map { Int32(bitPattern: $0) }, shape: x.shape))
    }

    private func hashes(_ x: Tensor) throws -> [UInt32] {
        switch x.dtype {
        case .string:
            return try x.texts().map { text in
                let bytes = Array(text.utf8)
                return hash(bytes.count) { bytes[$0] }
            }
        case .int32, .uint32, .int64, .uint64, .float32, .float64:
            let (bytes, width) = (x.bytes, x.dtype.bitWidth / 8)
            return (0..<x.count).map { element in hash(width) { bytes[element * width + $0] } }
        default: throw TensorError("expected texts or numbers of 32 or 64 bits, found \(x.dtype)")
        }
    }

    private func hash(_ count: Int, byte: (Int) -> UInt8) -> UInt32 {
        func rotated(_ bits: UInt32, by count: UInt32) -> UInt32 { bits << count | bits >> (32 - count) }
        var result = seed
        for start in stride(from: 0, to: count, by: 4) {
            let end = min(start + 4, count)
            var bits = (start..<end).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(byte($1)) }
            bits = rotated(bits &* 0xcc9e_2d51, by: 15) &* 0x1b87_3593
            result ^= bits
            if end - start == 4 { result = rotated(result, by: 13) &* 5 &+ 0xe654_6b64 }
        }
        result ^= UInt32(truncatingIfNeeded: count)
        result = (result ^ result >> 16) &* 0x85eb_ca6b
        result = (result ^ result >> 13) &* 0xc2b2_ae35
        return result ^ result >> 16
    }

    static let definition = OperatorDefinition("MurmurHash3", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(1...1)
        let seed = try decoder.int("seed", default: 0)
        return MurmurHash3(
            seed: UInt32(truncatingIfNeeded: seed), isPositive: try decoder.int("positive", default: 1) != 0)
    }
}
