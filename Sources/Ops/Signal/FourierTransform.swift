import Foundation
import GraphRuntime

/// The discrete Fourier transform of one length, in double precision: Y[k] = Σ x[n] exp(∓2πi kn/N), without the inverse's 1/N.
///
/// Powers of two by Cooley and Tukey's radix 2 ("An Algorithm for the Machine Calculation of Complex Fourier Series", 1965), other
/// lengths by Bluestein's convolution ("A linear filtering approach to the computation of the discrete Fourier transform", 1970).
struct FourierTransform: Sendable {
    typealias Complex = SIMD2<Double>

    let length: Int
    /// exp(∓2πi k/size) for the radix-2 transform of `size`.
    private let roots: [Complex]
    /// The power of two that is transformed: the length, or what Bluestein's convolution takes.
    private let size: Int
    /// exp(∓πi n²/N), and the spectrum of its conjugate; empty for powers of two.
    private let chirp: [Complex]
    private let filter: [Complex]

    /// - Parameter sign: -1 for the forward transform, 1 for the inverse one.
    /// - Throws: ``TensorError`` for lengths outside of 1...2^26.
    init(length: Int, sign: Double) throws(TensorError) {
        guard (1...1 << 26).contains(length) else {
            throw TensorError("the length of a Fourier transform should lie in 1...\(1 << 26), found \(length)")
        }
        self.length = length
        let isPower = length & (length - 1) == 0
        var size = 1
        while size < (isPower ? length : 2 * length - 1) { size *= 2 }
        self.size = size
        roots = (0..<max(size / 2, 1)).map { Self.unit(sign * 2 * .pi * Double($0) / Double(size)) }
        guard !isPower else {
            (chirp, filter) = ([], [])
            return
        }
        // n² modulo 2N, so that the angle stays small enough to be exact.
        let chirp = (0..<length).map { Self.unit(sign * .pi * Double($0 * $0 % (2 * length)) / Double(length)) }
        var filter = [Complex](repeating: .zero, count: size)
        for (n, value) in chirp.enumerated() {
            filter[n] = Complex(value.x, -value.y)
            if n > 0 { filter[size - n] = filter[n] }
        }
        Self.transform(&filter, roots)
        (self.chirp, self.filter) = (chirp, filter)
    }

    /// The transform of `values`, which are as many as the length.
    func callAsFunction(_ values: inout [Complex]) {
        guard !chirp.isEmpty else { return Self.transform(&values, roots) }
        var work = [Complex](repeating: .zero, count: size)
        for n in 0..<length { work[n] = Self.product(values[n], chirp[n]) }
        Self.transform(&work, roots)
        // The inverse transform is the conjugate of the transform of the conjugate.
        for n in 0..<size {
            let value = Self.product(work[n], filter[n])
            work[n] = Complex(value.x, -value.y)
        }
        Self.transform(&work, roots)
        for n in 0..<length { values[n] = Self.product(Complex(work[n].x, -work[n].y) / Double(size), chirp[n]) }
    }

    private static func unit(_ angle: Double) -> Complex { Complex(cos(angle), sin(angle)) }

    @inline(__always)
    private static func product(_ a: Complex, _ b: Complex) -> Complex {
        Complex(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
    }

    /// In place, for a power of two: bits reversed, then butterflies of growing span.
    private static func transform(_ values: inout [Complex], _ roots: [Complex]) {
        let count = values.count
        guard count > 1 else { return }
        var reversed = 0
        for index in 1..<count {
            var bit = count >> 1
            while reversed & bit != 0 {
                reversed ^= bit
                bit >>= 1
            }
            reversed |= bit
            if index < reversed { values.swapAt(index, reversed) }
        }
        var span = 1
        while span < count {
            let step = count / (2 * span)
            for start in stride(from: 0, to: count, by: 2 * span) {
                for k in 0..<span {
                    let odd = product(values[start + k + span], roots[k * step])
                    let even = values[start + k]
                    values[start + k] = even + odd
                    values[start + k + span] = even - odd
                }
            }
            span *= 2
        }
    }
}
