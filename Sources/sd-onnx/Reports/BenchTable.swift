import Foundation

/// The report of a benchmark as text.
struct BenchTable {
    let report: BenchReport
    /// Rows to show; nil for all.
    var top: Int?

    private static let columns: [TerminalTable.Column] = [
        .init(title: "operator", isText: true, importance: 10), .init(title: "calls", importance: 7),
        .init(title: "total ms", importance: 9), .init(title: "mean ms", importance: 3), .init(title: "share", importance: 8),
        .init(title: "± ms", importance: 2), .init(title: "GFLOP", importance: 3), .init(title: "GFLOP/s", importance: 6),
        .init(title: "of peak", importance: 5), .init(title: "GB/s", importance: 4), .init(title: "MB alloc", importance: 4),
        .init(title: "kernel", isText: true, importance: 5),
    ]

    var text: String {
        var columns = Self.columns
        if report.rows != nil { columns[0] = .init(title: report.by, isText: true, importance: 10) }
        var table = TerminalTable(columns)
        let rows = report.rows ?? report.operators
        for row in rows.prefix(top ?? .max) { table.add(cells(row), emphasis: row.share >= 0.2 ? .strong : .none) }
        let rest = rows.dropFirst(top ?? .max)
        if !rest.isEmpty {
            let total = rest.reduce(0) { $0 + $1.totalMs }
            let share = rest.reduce(0) { $0 + $1.share }
            table.add(
                [
                    "\(rest.count) more", String(rest.reduce(0) { $0 + $1.calls }), String(format: "%.3f", total), "",
                    String(format: "%.1f%%", 100 * share),
                ], emphasis: .faint)
        }
        let interpreter = report.interpreter
        table.add(
            [
                "interpreter", "", String(format: "%.3f", interpreter.totalMs), "",
                String(format: "%.1f%%", 100 * interpreter.share), "", "", "", "", "", "",
                String(format: "%.2f µs a call", interpreter.usPerCall),
            ], emphasis: .faint)
        return ([table.text] + summary.map { Prose.wrapped($0, width: StandardStreams.outputWidth ?? .max) }).joined(
            separator: "\n")
    }

    private func cells(_ row: BenchReport.Row) -> [String] {
        func figure(_ value: Double, _ format: String) -> String { value > 0 ? String(format: format, value) : "-" }
        return [
            row.title, String(row.calls), String(format: "%.3f", row.totalMs), String(format: "%.4f", row.meanMs),
            String(format: "%.1f%%", 100 * row.share), String(format: "%.3f", row.stdevMs), figure(row.gflop, "%.3f"),
            figure(row.gflops, "%.1f"), figure(100 * row.shareOfPeak, "%.0f%%"), figure(row.gbPerS, "%.1f"),
            figure(Double(row.allocatedBytes) / 1e6, "%.2f"), row.kernels.map(\.name).joined(separator: ", "),
        ]
    }

    private var summary: [String] {
        [
            String(
                format: "median %.3f ms, mean %.3f ms, p95 %.3f ms, spread %.3f to %.3f ms (± %.3f) over %d %@",
                report.medianMs,
                report.meanMs, report.p95Ms, report.minMs, report.maxMs, report.stdevMs, report.iterations,
                report.iterations == 1 ? "run" : "runs"),
            String(
                format: "load %.1f ms, specialise %.1f ms, plan %.1f ms; peak of tensors %.1f MB", report.loadMs,
                report.specialiseMs, report.planMs, Double(report.peakBytes) / 1e6),
            String(
                format: "machine: %@, %d %@, peak %.0f GFLOP/s and %.1f GB/s as measured now", report.machine.instructionSet,
                report.machine.threads, report.machine.threads == 1 ? "thread" : "threads", report.machine.peakGflops,
                report.machine.peakGbPerS),
        ]
    }

    /// The rows as comma-separated values (RFC 4180), with a header.
    static func csv(_ report: BenchReport) -> String {
        func quoted(_ text: String) -> String {
            text.contains(where: { ",\"\n\r".contains($0) })
                ? "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\"" : text
        }
        let header = [
            report.rows == nil ? "type" : report.by, "calls", "total_ms", "mean_ms", "p95_ms", "stdev_ms", "share", "gflop",
            "gflops",
            "share_of_peak", "gb_per_s", "allocated_bytes", "kernels",
        ]
        let lines = (report.rows ?? report.operators).map { row in
            [
                quoted(row.title), "\(row.calls)", "\(row.totalMs)", "\(row.meanMs)", "\(row.p95Ms)", "\(row.stdevMs)",
                "\(row.share)", "\(row.gflop)", "\(row.gflops)", "\(row.shareOfPeak)", "\(row.gbPerS)", "\(row.allocatedBytes)",
                quoted(row.kernels.map(\.name).joined(separator: "; ")),
            ]
        }
        return ([header] + lines).map { $0.joined(separator: ",") + "\r\n" }.joined()
    }
}
