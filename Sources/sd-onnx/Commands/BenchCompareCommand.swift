import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Compares two reports that bench wrote as JSON.",
        usage: "sd-onnx bench compare <A.json> <B.json> [--threshold <PERCENT>] [--force] [--json]",
        discussion: """
            The exit code is 1 where the median, or an operator, has become slower beyond the threshold: more than the noise of the \
            runs, in the fastest run too, and more than the machine itself, which is timed beside them; of an operator, by at least \
            one percent of the run too. Reports of different models or inputs are refused.

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

    @Argument(help: ArgumentHelp("The report to compare with.", valueName: "A.json"), transform: OptionValues.path)
    var before: String

    @Argument(help: ArgumentHelp("The report that is judged.", valueName: "B.json"), transform: OptionValues.path)
    var after: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Slower by more than this is a failure. (default: 10)", valueName: "PERCENT"),
        transform: OptionValues.number)
    var threshold = 10.0

    @Flag(help: "Compare reports of different models or inputs all the same.")
    var force = false

    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        if threshold < 0 { throw ValidationError("--threshold is \(threshold), expected a percentage of 0 or more.") }
        if before == after { throw ValidationError("Both reports are \(before): give two.") }
    }

    func run() throws {
        let (first, second) = (try Report(before), try Report(after))
        try check(first, second)
        let comparison = BenchComparison(first, second, threshold: threshold)
        if json { try StandardStreams.printJSON(comparison) } else { try StandardStreams.printOutput(comparison.text) }
        if let worst = comparison.failures.first {
            throw CommandFailure(
                String(
                    format: "%@ is slower than %@ beyond %g %%: %@ by %.1f %%.", after, before, threshold, worst.name,
                    worst.changePercent))
        }
    }

    /// Refuses what can't be compared, and says what else differs.
    private func check(_ first: Report, _ second: Report) throws {
        if !force {
            if let a = first.model, let b = second.model, a.hash != b.hash {
                throw CommandFailure(
                    "\(before) is about \(a.path) (\(a.bytes) bytes), and \(after) about another model, \(b.path) "
                        + "(\(b.bytes) bytes): --force compares them all the same.")
            }
            if let a = first.inputText, let b = second.inputText, a != b {
                throw CommandFailure(
                    "\(before) was measured with the inputs \(a), and \(after) with \(b): --force compares them all the same.")
            }
        }
        let facts = [
            ("program", first.programVersion, second.programVersion), ("precision", first.precision, second.precision),
            ("threads", first.machine?.threads.map(String.init), second.machine?.threads.map(String.init)),
            ("instruction set", first.machine?.instructionSet, second.machine?.instructionSet),
            ("processor", first.machine?.processor, second.machine?.processor),
        ]
        for case (let name, let a?, let b?) in facts where a != b {
            StandardStreams.printError("The reports differ in \(name): \(a) and \(b).")
        }
    }

    /// What is read of a report. Older ones, and those of profiled runs, have less.
    struct Report: Decodable {
        struct Machine: Decodable {
            let threads: Int?
            let instructionSet: String?
            let processor: String?
        }

        struct Input: Decodable {
            let name: String
            let type: String
        }

        struct Row: Decodable {
            let type: String
            let totalMs: Double
            /// Missing in reports of a single run, and of older versions.
            let stdevMs: Double?
            let minMs: Double?
            let share: Double
        }

        let medianMs: Double
        let stdevMs: Double?
        let minMs: Double?
        let iterations: Int
        let operators: [Row]
        let model: ModelIdentity?
        let inputs: [Input]?
        let programVersion: String?
        let precision: String?
        let machine: Machine?
        let paceMs: [Double]?

        var inputText: String? { inputs.map { $0.map { "\($0.name) \($0.type)" }.joined(separator: ", ") } }

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
        /// What the spread of the runs and the machine's own change explain, in milliseconds.
        let noiseMs: Double
        let isNoise: Bool
        /// Whether it is slower by more than the threshold.
        let isFailure: Bool
    }

    /// So many standard errors of a difference are taken for chance: of a thousand rows without a difference one is beyond.
    private static let standardErrors = 3.3

    let thresholdPercent: Double
    /// How much longer the machine took for the same work, timed between the runs; 0 where a report doesn't say.
    let machineChangePercent: Double
    let median: Row
    /// By the size of the difference.
    let operators: [Row]

    var failures: [Row] { ([median] + operators).filter(\.isFailure) }

    init(_ before: BenchCompareCommand.Report, _ after: BenchCompareCommand.Report, threshold: Double) {
        thresholdPercent = threshold
        let (paceA, paceB) = (Statistics(before.paceMs ?? []), Statistics(after.paceMs ?? []))
        let machine = paceA.mean > 0 && paceB.mean > 0 ? paceB.mean / paceA.mean - 1 : 0
        machineChangePercent = 100 * machine
        let machineVariance = Self.relativeVariance(paceA) + Self.relativeVariance(paceB)
        func row(
            _ name: String, _ a: Double?, _ b: Double?, _ spreadA: Double?, _ spreadB: Double?, least: (Double?, Double?),
            isJudged: Bool
        ) -> Row {
            let (deviationA, deviationB) = (spreadA ?? 0, spreadB ?? 0)
            let larger = max(a ?? 0, b ?? 0)
            var variance = deviationA * deviationA / Double(before.iterations)
            variance += deviationB * deviationB / Double(after.iterations)
            variance += machineVariance * larger * larger
            let noise = abs(machine) * (a ?? larger) + Self.standardErrors * variance.squareRoot()
            let change = (b ?? 0) - (a ?? 0)
            let percent = (a ?? 0) > 0 ? 100 * change / (a ?? 1) : 0
            let isNoise = abs(change) <= noise
            let isSlower = a == nil ? change > 0 : percent > threshold
            // What slows a program down slows its fastest run too; other work on the machine need not.
            let isSlowerAtBest = least.0.flatMap { first in least.1.map { $0 > first * (1 + threshold / 100) } } ?? true
            return Row(
                name: name, beforeMs: a, afterMs: b, changeMs: change, changePercent: percent, noiseMs: noise, isNoise: isNoise,
                isFailure: isJudged && !isNoise && isSlower && isSlowerAtBest)
        }
        median = row(
            "median", before.medianMs, after.medianMs, before.stdevMs, after.stdevMs, least: (before.minMs, after.minMs),
            isJudged: true)
        let a = Dictionary(before.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        let b = Dictionary(after.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        operators = Set(a.keys).union(b.keys).sorted().map { name in
            let change = (b[name]?.totalMs ?? 0) - (a[name]?.totalMs ?? 0)
            // An operator that one of them lacks was fused or renamed: the median judges that. Small ones waver by a fifth and more.
            return row(
                name, a[name]?.totalMs, b[name]?.totalMs, a[name]?.stdevMs, b[name]?.stdevMs,
                least: (a[name]?.minMs, b[name]?.minMs),
                isJudged: change >= 0.01 * before.medianMs && a[name] != nil && b[name] != nil)
        }
        .sorted { abs($0.changeMs) > abs($1.changeMs) }
    }

    /// The variance of a sample's mean, over the square of the mean; 0 of an empty one.
    private static func relativeVariance(_ sample: Statistics) -> Double {
        guard sample.mean > 0 else { return 0 }
        let share = sample.standardDeviation / sample.mean
        return share * share / Double(sample.count)
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
        guard machineChangePercent != 0 else { return table.text }
        return table.text
            + String(
                format: "\nThe machine took %+.1f %% of time for the same work between the runs, which counts as noise.",
                machineChangePercent)
    }
}
