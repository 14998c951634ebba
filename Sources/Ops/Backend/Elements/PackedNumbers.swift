import CKernels
import GraphRuntime

/// Numbers of 8 bits or fewer, as many of which lie in a byte as fit, the first in the lowest bits.
struct PackedNumbers: Sendable {
    private let tensor: Tensor
    private let bytes: TensorView<UInt8>
    private let bits: Int
    private let values: [Float]
    /// How vectors take numbers of four bits; nil where these aren't integers.
    private let isSigned: Bool?

    /// - Parameters:
    ///   - bits: of each number: 2, 4 or 8.
    ///   - values: what each pattern of bits stands for.
    init(_ tensor: Tensor, bits: Int, values: [Float]) {
        (self.tensor, self.bits, self.values) = (tensor, bits, values)
        bytes = tensor.bytes
        isSigned = bits == 4 && tensor.dtype != .float4E2M1 ? tensor.dtype == .int4 : nil
    }

    /// Traps where there is no such number.
    subscript(place: Int) -> Float {
        @inline(__always) get { values[Int(bytes[place * bits / 8] >> UInt8(place * bits % 8)) & (values.count - 1)] }
    }

    /// y[start + i] = (the number i of a range - zero) · scale.
    func write(_ places: Range<Int>, zero: Float, scale: Float, to y: inout MutableSpan<Float>, at start: Int) {
        guard let isSigned, places.lowerBound % 2 == 0, places.count % 2 == 0 else {
            for (index, place) in places.enumerated() { y[start + index] = (self[place] - zero) * scale }
            return
        }
        precondition(
            places.upperBound / 2 <= bytes.count && start >= 0 && start + places.count <= y.count, "there are no such numbers")
        unsafe y.withUnsafeMutableBufferPointer { y in
            guard let first = y.baseAddress else { return }
            let source = unsafe tensor.start.assumingMemoryBound(to: UInt8.self)
            unsafe ck_dequantize_nibbles(
                source + places.lowerBound / 2, isSigned ? 1 : 0, places.count / 2, scale, zero, first + start)
        }
    }
}
