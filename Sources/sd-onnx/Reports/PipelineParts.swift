import Foundation
import GraphRuntime

/// How the time of making a picture is split.
struct PipelineParts: Encodable {
    struct Part: Encodable {
        let name: String
        /// In one picture's making.
        let calls: Double
        let totalMs: Double
        /// Of the whole time, 0 to 1.
        let share: Double
    }

    /// By the order of the first; each step of the U-Net is one.
    let parts: [Part]
    /// What is in no part.
    let otherMs: Double
    let totalMs: Double
    /// Seconds of the processors, of all threads together, for each second.
    let cpuSecondsPerSecond: Double
    /// Floating-point operations of all graphs for each second, 10⁹.
    let gflopPerSecond: Double
    /// Bytes of all nodes' inputs and outputs for each second, 10⁹.
    let gbPerSecond: Double

    /// - Parameters:
    ///   - seconds: of the whole, over all iterations.
    ///   - cpuSeconds: of the processors, over the same time.
    init(_ profile: Profile, seconds: Double, cpuSeconds: Double, iterations: Int) {
        var names: [String] = []
        var sums: [String: (calls: Int, nanoseconds: Double)] = [:]
        for section in profile.sections where section.kind == .part {
            if sums[section.name] == nil { names.append(section.name) }
            sums[section.name, default: (0, 0)].calls += 1
            sums[section.name, default: (0, 0)].nanoseconds += Double(section.nanoseconds)
        }
        let runs = Double(max(iterations, 1))
        let total = seconds * 1e9
        parts = names.map { name in
            let sum = sums[name] ?? (0, 0)
            return Part(
                name: name, calls: Double(sum.calls) / runs, totalMs: sum.nanoseconds / 1e6 / runs,
                share: sum.nanoseconds / max(total, 1))
        }
        totalMs = 1000 * seconds / runs
        otherMs = max(1000 * seconds / runs - parts.reduce(0) { $0 + $1.totalMs }, 0)
        let table = ProfileTable(profile, by: .op)
        cpuSecondsPerSecond = cpuSeconds / max(seconds, 1e-9)
        gflopPerSecond = table.rows.reduce(0) { $0 + $1.flops } / 1e9 / max(seconds, 1e-9)
        gbPerSecond = table.rows.reduce(0) { $0 + $1.bytes } / 1e9 / max(seconds, 1e-9)
    }

    var text: String {
        var table = TerminalTable([
            .init(title: "part", isText: true, importance: 10), .init(title: "calls", importance: 2),
            .init(title: "total ms", importance: 9), .init(title: "share", importance: 8),
            .init(title: "ms of a second", importance: 3),
        ])
        func row(_ name: String, _ calls: String, _ ms: Double, emphasis: TerminalTable.Emphasis = .none) {
            let share = ms / max(totalMs, 1e-9)
            table.add(
                [
                    name, calls, String(format: "%.3f", ms), String(format: "%.1f%%", 100 * share),
                    String(format: "%.1f", 1000 * share),
                ],
                emphasis: emphasis)
        }
        for part in parts { row(part.name, String(format: "%.0f", part.calls), part.totalMs) }
        row("other", "", otherMs, emphasis: .faint)
        let steps = parts.filter { $0.name.hasPrefix("U-Net step ") }
        if steps.count > 1 {
            let statistics = Statistics(steps.map(\.totalMs))
            row("U-Net, all steps", String(steps.count), steps.reduce(0) { $0 + $1.totalMs }, emphasis: .strong)
            return [
                table.text,
                String(
                    format: "U-Net step: median %.3f ms, p95 %.3f ms, %.3f to %.3f ms", statistics.median, statistics.p95,
                    statistics.minimum, statistics.maximum), cost,
            ].joined(separator: "\n")
        }
        return table.text + "\n" + cost
    }

    private var cost: String {
        String(
            format: "total %.3f ms; a second of it costs %.2f s of processors, %.1f GFLOP and %.1f GB read and written",
            totalMs,
            cpuSecondsPerSecond, gflopPerSecond, gbPerSecond)
    }

    /// Seconds that the processors worked for this process so far.
    static var cpuSeconds: Double {
        var usage = rusage()
        #if canImport(Darwin)
            guard getrusage(RUSAGE_SELF, &usage) == 0 else { return 0 }
        #else
            guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        #endif
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}
