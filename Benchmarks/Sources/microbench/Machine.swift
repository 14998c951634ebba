import CPeak
import GraphRuntime
import Ops

/// What the machine can do at most, measured with as many threads as the benchmarks.
struct Machine: Encodable {
    let instructionSet: String
    let threads: Int
    /// Multiply-adds on registers alone at the instruction set in use, in 10⁹ operations a second.
    let peakGflops: Double
    /// A triad a = b + s·c over arrays larger than any cache, in 10⁹ bytes a second; what the write reads first isn't counted.
    let peakGbPerS: Double

    init(threads pool: ThreadPool, isQuick: Bool) throws {
        let set = InstructionSet.current
        let width: Int32 =
            switch set {
            case .plain: 4
            case .avx2: 8
            case .avx512: 16
            }
        instructionSet = set.rawValue
        threads = pool.threadCount
        let repeats = isQuick ? 1 : 10
        let rounds = isQuick ? 1_000_000 : 10_000_000
        peakGflops = Self.best(of: repeats) {
            pool.forEach(pool.threadCount) { _ in _ = peak_multiply_add(width, rounds) }
            return Double(pool.threadCount) * 2 * 12 * Double(width) * Double(rounds)
        }
        // 128 MB each.
        let count = isQuick ? 1 << 20 : 32 << 20
        let arrays = try (0..<3).map { _ in
            let array = try MutableTensor(dtype: .float32, shape: Shape([count]))
            try array.withMutableSpan(of: Float.self) { for index in 0..<$0.count { $0[index] = 1 } }
            return array
        }
        let buffers = try arrays.map { try $0.buffer(of: Float.self) }
        let pieces = pool.threadCount * 16
        // Buffers don't keep the memory that they look into.
        peakGbPerS = withExtendedLifetime(arrays) {
            Self.best(of: repeats) {
                pool.forEach(pieces) { piece in
                    let start = count / pieces * piece
                    guard let a = buffers[0].baseAddress, let b = buffers[1].baseAddress, let c = buffers[2].baseAddress else {
                        return
                    }
                    peak_triad(a + start, b + start, c + start, 0.5, count / pieces)
                }
                return Double(count / pieces * pieces) * 12
            }
        }
    }

    /// The best rate of several runs of work that returns its amount, in 10⁹ a second.
    private static func best(of repeats: Int, _ work: () -> Double) -> Double {
        let clock = ContinuousClock()
        return (0..<repeats).reduce(0) { best, _ in
            let start = clock.now
            let amount = work()
            return max(best, amount / (clock.now - start).nanoseconds)
        }
    }
}

extension Duration {
    var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
}
