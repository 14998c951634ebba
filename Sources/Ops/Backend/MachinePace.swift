import CKernels
import Dispatch
import GraphRuntime

/// How fast the machine is at the moment: the time of a fixed amount of multiply-adds on registers, on all threads. Where other
/// programs take a part of the processors, or they run slower for heat, this takes longer in the same proportion, and it leaves the
/// caches as they are.
public enum MachinePace {
    /// - Parameters:
    ///   - pool: the threads that the work to judge runs on.
    ///   - rounds: of multiply-adds on each thread; a million take some 3 to 8 ms.
    /// - Returns: seconds.
    public static func seconds(threads pool: ThreadPool, rounds: Int = 1_000_000) -> Double {
        let width: Int32 =
            switch InstructionSet.current {
            case .plain: 4
            case .avx2: 8
            case .avx512: 16
            }
        let start = DispatchTime.now().uptimeNanoseconds
        pool.forEach(pool.threadCount) { _ in _ = ck_peak_multiply_add(width, rounds) }
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }
}
