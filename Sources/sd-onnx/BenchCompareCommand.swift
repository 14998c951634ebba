import ArgumentParser
import Foundation
import SDPipeline

struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Compares two reports that bench wrote as JSON.",
        usage: "sd-onnx bench compare <A.json> <B.json> [--threshold <PERCENT>] [--json]",
        discussion: """
            Differences within two standard errors are noise. The exit code is 1 where the median, or an operator, has become \
            slower by more than the threshold and the noise; of an operator, by at least one percent of the run too.

            EXAMPLE:
              sd-onnx bench compare before.json after.json --threshold 5
            """, shouldDisplay: false)

    /// `bench compare` as one word: a command with an argument of its own can't have subcommands.
    static let name = "bench compare"

    /// Arguments in which `bench compare` is this command's name.
    static func renaming(_ arguments: [String]) -> [String] {
        let words = arguments.prefix { $0 == "help" } + ["bench", "compare"]
        guard words.count <= 3, arguments.starts(with: words) else { return arguments }
        return arguments.prefix { $0 == "help" } + [name] + arguments.dropFirst(words.count)
    }

    @Argument(help: ArgumentHelp("The report to compare with.", valueName: "A.json"))
    var before: String

    @Argument(help: ArgumentHelp("The report that is judged.", valueName: "B.json"))
    var after: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Slower by more than this is a failure. (default: 10)", valueName: "PERCENT"),
        transform: OptionValues.number)
    var threshold = 10.0

    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        if threshold < 0 { throw ValidationError("--threshold is \(threshold), expected a percentage of 0 or more.") }
        if before == after { throw ValidationError("Both reports are \(before): give two.") }
    }

    func run() throws {
        let comparison = BenchComparison(try Report(before), try Report(after), threshold: threshold)
        if json { try StandardStreams.printJSON(comparison) } else { try StandardStreams.printOutput(comparison.text) }
        if let worst = comparison.failures.first {
            throw CommandFailure(
                String(
                    format: "%@ is slower than %@ beyond %g %%: %@ by %.1f %%.", after, before, threshold, worst.name,
                    worst.changePercent))
        }
    }

    /// What is read of a report.
    struct Report: Decodable {
        struct Row: Decodable {
            let type: String
            let totalMs: Double
            /// Missing in reports of a single run, and of older versions.
            let stdevMs: Double?
            let share: Double
        }

        let medianMs: Double
        let stdevMs: Double?
        let iterations: Int
        let operators: [Row]

        init(_ path: String) throws {
            do {
                self = try JSONText.decode(
                    Report.self, contentsOf: URL(fileURLWithPath: path), takesPipes: true, keys: .convertFromSnakeCase)
            } catch let error as JSONText.FormatError {
                throw CommandFailure("The report \(path) can't be used: \(error.reason).")
            } catch {
                throw CommandFailure("\(path) isn't a report of sd-onnx bench --json.")
            }
            guard iterations > 0, medianMs.isFinite, medianMs > 0 else {
                throw CommandFailure("\(path) has \(iterations) runs with a median of \(medianMs) ms, expected some.")
            }
        }
    }
}

/// The differences between two reports.
struct BenchComparison: Encodable {
    struct Row: Encodable {
        let name: String
        /// Milliseconds in one run; nil where the report doesn't have the operator.
        let beforeMs: Double?
        let afterMs: Double?
        /// After minus before.
        let changeMs: Double
        /// Of the time before; 0 where there is none.
        let changePercent: Double
        /// Two standard errors of the difference, in milliseconds.
        let noiseMs: Double
        let isNoise: Bool
        /// Whether it is slower by more than the threshold.
        let isFailure: Bool
    }

    let thresholdPercent: Double
    let median: Row
    /// By the size of the difference.
    let operators: [Row]

    var failures: [Row] { ([median] + operators).filter(\.isFailure) }

    init(_ before: BenchCompareCommand.Report, _ after: BenchCompareCommand.Report, threshold: Double) {
        thresholdPercent = threshold
        func row(
            _ name: String, _ a: Double?, _ b: Double?, _ spreadA: Double?, _ spreadB: Double?, isJudged: Bool
        ) -> Row {
            let errors = [(spreadA, before.iterations), (spreadB, after.iterations)].map { spread, count in
                (spread ?? 0) * (spread ?? 0) / Double(count)
            }
            let noise = 2 * errors.reduce(0, +).squareRoot()
            let change = (b ?? 0) - (a ?? 0)
            let percent = (a ?? 0) > 0 ? 100 * change / (a ?? 1) : 0
            let isNoise = abs(change) <= noise
            let isSlower = a == nil ? change > 0 : percent > threshold
            return Row(
                name: name, beforeMs: a, afterMs: b, changeMs: change, changePercent: percent, noiseMs: noise, isNoise: isNoise,
                isFailure: isJudged && !isNoise && isSlower)
        }
        median = row("median", before.medianMs, after.medianMs, before.stdevMs, after.stdevMs, isJudged: true)
        let a = Dictionary(before.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        let b = Dictionary(after.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        operators = Set(a.keys).union(b.keys).sorted().map { name in
            let change = (b[name]?.totalMs ?? 0) - (a[name]?.totalMs ?? 0)
            // An operator that one of them lacks was fused or renamed: the median judges that. Small ones waver by a fifth and more.
            return row(
                name, a[name]?.totalMs, b[name]?.totalMs, a[name]?.stdevMs, b[name]?.stdevMs,
                isJudged: change >= 0.01 * before.medianMs && a[name] != nil && b[name] != nil)
        }
        .sorted { abs($0.changeMs) > abs($1.changeMs) }
    }

    var text: String {
        var table = TerminalTable([
            .init(title: "operator", isText: true, importance: 10), .init(title: "before ms", importance: 5),
            .init(title: "after ms", importance: 6), .init(title: "change ms", importance: 7), .init(title: "%", importance: 8),
            .init(title: "± ms", importance: 4), .init(title: "", isText: true, importance: 9),
        ])
        for row in [median] + operators {
            func figure(_ value: Double?) -> String { value.map { String(format: "%.3f", $0) } ?? "-" }
            table.add(
                [
                    row.name, figure(row.beforeMs), figure(row.afterMs), String(format: "%+.3f", row.changeMs),
                    row.beforeMs == nil || row.afterMs == nil ? "-" : String(format: "%+.1f", row.changePercent),
                    String(format: "%.3f", row.noiseMs),
                    row.isFailure ? "slower" : row.isNoise ? "noise" : row.changeMs < 0 ? "faster" : "",
                ], emphasis: row.isFailure ? .strong : row.isNoise ? .faint : .none)
        }
        return table.text
    }
}
