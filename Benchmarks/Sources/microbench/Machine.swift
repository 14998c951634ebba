import GraphRuntime
import Ops

/// What the machine can do at most, as the report states it.
struct Machine: Encodable {
    let instructionSet: String
    let threads: Int
    /// See ``MachinePeak/gflops``.
    let peakGflops: Double
    /// See ``MachinePeak/gbPerS``.
    let peakGbPerS: Double

    init(threads pool: ThreadPool, isQuick: Bool) throws {
        let peak =
            isQuick
            ? try MachinePeak(threads: pool, repeats: 1, rounds: 1_000_000, arrayBytes: 4 << 20)
            : try MachinePeak(threads: pool, repeats: 10, rounds: 10_000_000)
        instructionSet = peak.instructionSet.rawValue
        threads = peak.threads
        peakGflops = peak.gflops
        peakGbPerS = peak.gbPerS
    }
}

extension Duration {
    var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
}
