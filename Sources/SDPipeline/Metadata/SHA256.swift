import CKernels

/// SHA-256 (FIPS 180-4) of bytes that come in parts.
package struct SHA256 {
    private static let blockSize = 64
    private static let lengthSize = 8

    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    /// Bytes that don't fill a block so far.
    private var rest: [UInt8] = []
    private var count: UInt64 = 0

    mutating func update(_ bytes: ArraySlice<UInt8>) {
        count &+= UInt64(bytes.count)
        var bytes = bytes
        if !rest.isEmpty {
            let missing = bytes.prefix(Self.blockSize - rest.count)
            rest += missing
            bytes = bytes.dropFirst(missing.count)
            guard rest.count == Self.blockSize else { return }
            unsafe ck_sha256(&state, rest, 1)
            rest = []
        }
        let blocks = bytes.count / Self.blockSize
        unsafe bytes.withUnsafeBufferPointer { part in
            if let start = part.baseAddress { unsafe ck_sha256(&state, start, blocks) }
        }
        rest = Array(bytes.dropFirst(blocks * Self.blockSize))
    }

    /// The digest of all bytes so far as 64 hexadecimal digits.
    func hexadecimal() -> String {
        var last = self
        // A one bit, zeros, and the number of bits fill the last block.
        var padding: [UInt8] = [0x80]
        while (rest.count + padding.count + Self.lengthSize) % Self.blockSize != 0 { padding.append(0) }
        let bits = count &* 8
        padding += (0..<Self.lengthSize).reversed().map { UInt8(truncatingIfNeeded: bits >> (8 * UInt64($0))) }
        last.update(padding[...])
        return last.state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
        .joined()
    }

    package static func hexadecimal(of bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes[...])
        return hash.hexadecimal()
    }
}
