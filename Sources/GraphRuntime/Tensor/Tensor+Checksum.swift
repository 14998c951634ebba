extension Tensor {
    /// A number that another content of the bytes hardly ever has, and never where they differ in one place: of each megabyte Fletcher's
    /// two sums (1982, "An Arithmetic Checksum for Serial Transmissions") over words of 64 bits in eight lanes, mixed as FNV-1a mixes
    /// bytes. It is computed as quickly as memory is read, and doesn't withstand who looks for another content with the same number.
    package func checksum(threads: ThreadPool) -> UInt64 {
        let chunk = 1 << 20
        let bytes = bytes
        let parts = threads.map((bytes.count + chunk - 1) / chunk) { index in
            bytes.extracting(index * chunk..<min((index + 1) * chunk, bytes.count)).checksum
        }
        return parts.reduce(Checksum.mix(Checksum.start, UInt64(bytes.count)), Checksum.mix)
    }
}

private enum Checksum {
    static let start: UInt64 = 0xCBF2_9CE4_8422_2325

    static func mix(_ state: UInt64, _ word: UInt64) -> UInt64 { (state ^ word) &* 0x100_0000_01B3 }
}

extension TensorView<UInt8> {
    fileprivate var checksum: UInt64 {
        typealias Words = SIMD8<UInt64>
        let size = MemoryLayout<Words>.size
        var (sum, sumOfSums) = (Words.zero, Words.zero)
        unsafe withStart { start in
            for offset in stride(from: 0, to: count - count % size, by: size) {
                sum &+= unsafe start.loadUnaligned(fromByteOffset: offset, as: Words.self)
                sumOfSums &+= sum
            }
        }
        for (place, index) in (count - count % size..<count).enumerated() {
            sum[place / 8] &+= UInt64(self[index]) << UInt64(8 * (place % 8))
        }
        sumOfSums &+= sum
        var state = Checksum.start
        for lane in 0..<Words.scalarCount { state = Checksum.mix(Checksum.mix(state, sum[lane]), sumOfSums[lane]) }
        return state
    }

    private func withStart(_ body: (UnsafeRawPointer) -> Void) { withExtendedLifetime(storage) { unsafe body(start) } }
}
