import GraphRuntime

/// Elements of 4 bits, two to a byte, and of 2 bits, four to a byte, the first in the lowest bits.
enum BitFields {
    static func unpack(_ tensor: Tensor) -> [UInt8] {
        let (width, bytes) = (tensor.dtype.bitWidth, tensor.bytes)
        let mask: UInt8 = width == 2 ? 3 : 15
        return (0..<tensor.count).map { index in bytes[index * width / 8] >> UInt8(index * width % 8) & mask }
    }

    /// Bits of the last byte that no element has are 0.
    static func pack(_ codes: [UInt8], into tensor: MutableTensor) throws {
        let width = tensor.dtype.bitWidth
        let (mask, each): (UInt8, Int) = width == 2 ? (3, 4) : (15, 2)
        try tensor.withMutableBytes { bytes in
            for index in 0..<bytes.count {
                var byte: UInt8 = 0
                for place in 0..<each where index * each + place < codes.count {
                    byte |= (codes[index * each + place] & mask) << UInt8(place * width)
                }
                bytes[index] = byte
            }
        }
    }
}
