import GraphRuntime

/// Elements of 4 bits, two to a byte, the low half first.
enum Nibbles {
    static func unpack(_ tensor: Tensor) -> [UInt8] {
        let bytes = tensor.bytes
        return (0..<tensor.count).map { index in (bytes[index >> 1] >> UInt8((index & 1) * 4)) & 15 }
    }

    static func pack(_ codes: [UInt8], into tensor: MutableTensor) throws {
        try tensor.withMutableBytes { bytes in
            for index in 0..<bytes.count {
                let high = 2 * index + 1 < codes.count ? codes[2 * index + 1] & 15 : 0
                bytes[index] = (codes[2 * index] & 15) | (high << 4)
            }
        }
    }
}
