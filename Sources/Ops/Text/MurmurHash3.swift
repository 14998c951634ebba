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
        let hashes = try Self.elements(x).map { hash($0) }
        try context.output(0).copy(
            from: isPositive
                ? Tensor(hashes, shape: x.shape) : Tensor(hashes.map { Int32(bitPattern: $0) }, shape: x.shape))
    }

    private static func elements(_ x: Tensor) throws -> [[UInt8]] {
        func bytes<Bits: FixedWidthInteger>(_ bits: Bits) -> [UInt8] {
            (0..<Bits.bitWidth / 8).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
        }
        switch x.dtype {
        case .string: return try x.texts().map { Array($0.utf8) }
        case .int32: return try x.array(of: Int32.self).map { bytes($0) }
        case .uint32: return try x.array(of: UInt32.self).map { bytes($0) }
        case .int64: return try x.array(of: Int64.self).map { bytes($0) }
        case .uint64: return try x.array(of: UInt64.self).map { bytes($0) }
        case .float32: return try x.array(of: Float.self).map { bytes($0.bitPattern) }
        case .float64: return try x.array(of: Double.self).map { bytes($0.bitPattern) }
        default: throw TensorError("expected texts or numbers of 32 or 64 bits, found \(x.dtype)")
        }
    }

    private func hash(_ bytes: [UInt8]) -> UInt32 {
        func rotated(_ bits: UInt32, by count: UInt32) -> UInt32 { bits << count | bits >> (32 - count) }
        var result = seed
        for start in stride(from: 0, to: bytes.count, by: 4) {
            let block = bytes[start..<min(start + 4, bytes.count)]
            var bits = block.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            bits = rotated(bits &* 0xcc9e_2d51, by: 15) &* 0x1b87_3593
            result ^= bits
            if block.count == 4 { result = rotated(result, by: 13) &* 5 &+ 0xe654_6b64 }
        }
        result ^= UInt32(truncatingIfNeeded: bytes.count)
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
