import CKernels
import Dispatch
import GraphRuntime

/// What the machine can do at most, measured on as many threads as the work runs on: what the speed of kernels is held against.
public struct MachinePeak: Sendable {
    /// The instruction set that was measured.
    public let instructionSet: InstructionSet
    /// The threads that it was measured on.
    public let threads: Int
    /// Multiply-adds on registers alone at the instruction set in use, in 10⁹ operations a second.
    public let gflops: Double
    /// A triad a = b + s·c over arrays larger than any cache, in 10⁹ bytes a second; what the write reads first isn't counted.
    public let gbPerS: Double

    /// Measures it, which takes about a tenth of a second for each repeat, and memory for three arrays.
    ///
    /// - Parameters:
    ///   - pool: the threads to measure.
    ///   - repeats: the best of so many counts, 1 or more.
    ///   - rounds: of multiply-adds on each thread; 10 million take some 30 to 80 ms.
    ///   - arrayBytes: of each of the triad's arrays; 128 MB are larger than most caches.
    /// - Throws: ``/GraphRuntime/TensorError`` where there isn't as much memory.
    public init(threads pool: ThreadPool, repeats: Int = 3, rounds: Int = 5_000_000, arrayBytes: Int = 128 << 20) throws {
        let set = InstructionSet.current
        let width: Int32 =
            switch set {
            case .plain: 4
            case .avx2: 8
            case .avx512: 16
            }
        instructionSet = set
        threads = pool.threadCount
        gflops = Self.best(of: repeats) {
            pool.forEach(pool.threadCount) { _ in _ = ck_peak_multiply_add(width, rounds) }
            return Double(pool.threadCount) * 2 * 12 * Double(width) * Double(rounds)
        }
        let count = arrayBytes / 4
        let arrays = try (0..<3).map { _ in
            let array = try MutableTensor(dtype: .float32, shape: Shape([count]))
            unsafe try array.buffer(of: Float.self).update(repeating: 1)
            return array
        }
        nonisolated(unsafe) let places = unsafe try arrays.map { unsafe try $0.pointer(to: Float.self) }
        let pieces = pool.threadCount * 16
        // Pointers don't keep the memory that they look into.
        gbPerS = withExtendedLifetime(arrays) {
            Self.best(of: repeats) {
                pool.forEach(pieces) { piece in
                    let start = count / pieces * piece
                    unsafe ck_peak_triad(
                        places[0] + start, places[1] + start, places[2] + start, 0.5, count / pieces)
                }
                return Double(count / pieces * pieces) * 12
            }
        }
    }

    /// The best rate of several runs of work that returns its amount, in 10⁹ a second.
    private static func best(of repeats: Int, _ work: () -> Double) -> Double {
        (0..<max(repeats, 1)).reduce(0) { best, _ in
            let start = DispatchTime.now().uptimeNanoseconds
            let amount = work()
            return max(best, amount / Double(max(DispatchTime.now().uptimeNanoseconds - start, 1)))
        }
    }
}
