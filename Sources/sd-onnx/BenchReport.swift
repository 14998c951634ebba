import Foundation
import GraphRuntime

/// What a benchmark measured. Written as JSON with keys in snake case.
struct BenchReport: Encodable {
    let medianMs: Double
    let meanMs: Double
    let loadMs: Double
    /// The most bytes that tensors held at one time, weights in mapped files left out.
    let peakBytes: Int
    let iterations: Int
    let operators: [Row]
    let interpreter: Interpreter

    /// What a run takes beside its operators.
    struct Interpreter: Encodable {
        /// Milliseconds in one run.
        let totalMs: Double
        /// Of the time of the run, 0 to 1.
        let share: Double
        /// Microseconds for each call of an operator.
        let usPerCall: Double
    }

    struct Row: Encodable {
        let type: String
        /// Calls in one run.
        let calls: Int
        /// Milliseconds in one run.
        let totalMs: Double
        /// Of the time of all operators, 0 to 1.
        let share: Double
        /// Floating-point operations in a second, 10⁹; 0 where the operator counts none.
        let gflops: Double
    }

    init(seconds: [Double], loadSeconds: Double, profile: OperatorProfile) {
        let sorted = seconds.sorted()
        let middle = sorted.count / 2
        medianMs = 1000 * (sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2)
        meanMs = 1000 * seconds.reduce(0, +) / Double(seconds.count)
        loadMs = 1000 * loadSeconds
        peakBytes = TensorStorage.peakBytes
        let runs = seconds.count
        iterations = runs
        let all = max(profile.rows.reduce(0) { $0 + $1.nanoseconds }, 1)
        operators = profile.rows.map { row in
            Row(
                type: row.type, calls: row.calls / runs, totalMs: Double(row.nanoseconds) / 1e6 / Double(runs),
                share: Double(row.nanoseconds) / Double(all),
                gflops: row.nanoseconds > 0 ? row.cost.flops / Double(row.nanoseconds) : 0)
        }
        let spent = max(seconds.reduce(0, +) * 1e9 - Double(profile.ownNanoseconds), 1)
        let between = max(spent - Double(profile.rows.reduce(0) { $0 + $1.nanoseconds }), 0)
        let calls = max(profile.rows.reduce(0) { $0 + $1.calls }, 1)
        interpreter = Interpreter(
            totalMs: between / 1e6 / Double(runs), share: between / spent, usPerCall: between / 1e3 / Double(calls))
    }

    var table: String {
        let width = max(operators.map(\.type.count).max() ?? 0, 11)
        func padded(_ text: String) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
        var lines = [padded("operator") + "   calls   total ms   share   GFLOP/s"]
        for row in operators {
            let rate = row.gflops > 0 ? String(format: "%9.1f", row.gflops) : "        -"
            lines.append(
                padded(row.type) + String(format: "%8d%11.3f%7.1f%%", row.calls, row.totalMs, 100 * row.share) + " " + rate)
        }
        lines.append(
            padded("interpreter") + "        "
                + String(
                    format: "%11.3f%7.1f%%  of the run, %.2f µs a call", interpreter.totalMs, 100 * interpreter.share,
                    interpreter.usPerCall))
        lines.append(
            String(
                format: "median %.3f ms, mean %.3f ms over %d runs; load %.1f ms; peak of tensors %.1f MB", medianMs, meanMs,
                iterations, loadMs, Double(peakBytes) / 1e6))
        return lines.joined(separator: "\n")
    }
}
