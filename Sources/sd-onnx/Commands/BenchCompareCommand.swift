import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import SDPipeline

struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Compares two reports that bench wrote as JSON.",
        usage: "sd-onnx bench compare <A.json> <B.json> [--threshold <PERCENT>] [--force] [--json]",
        discussion: """
            The exit code is 1 where the median, or an operator, has become slower beyond the threshold: more than the noise of the \
            runs, in the fastest run too, and more than the machine itself, which is timed beside them; of an operator, by at least \
            one percent of the run too. Reports of different models, inputs or steps are \
            refused; reports of a single run, or of a machine that has become another quarter faster or slower in between, are \
            shown but not judged.

            EXAMPLE:
              sd-onnx bench compare before.json after.json --threshold 5
            """, shouldDisplay: false)

    /// `bench compare` as one word: a command with an argument of its own can't have subcommands.
    static let name = "bench compare"

    @Argument(help: ArgumentHelp("The report to compare with.", valueName: "A.json"), transform: OptionValues.path)
    var before: String

    @Argument(help: ArgumentHelp("The report that is judged.", valueName: "B.json"), transform: OptionValues.path)
    var after: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Slower by more than this is a failure. (default: 10)", valueName: "PERCENT"),
        transform: OptionValues.number)
    var threshold = 10.0

    @Flag(help: "Compare reports of different models, inputs or steps all the same.")
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
        if let reason = comparison.notJudged { StandardStreams.printError(reason) }
        if let failure = comparison.failures.first {
            throw CommandFailure(
                String(
                    format: "%@ is slower than %@ beyond %g %%: %@ by %.1f %%.", after, before, threshold, failure.name,
                    failure.changePercent))
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
            if let a = first.steps, let b = second.steps, a != b {
                throw CommandFailure(
                    "\(before) is of \(a) steps, and \(after) of \(b): --force compares them all the same.")
            }
            if let a = first.inputText, let b = second.inputText, a != b {
                throw CommandFailure(
                    "\(before) was measured with the inputs \(a), and \(after) with \(b): --force compares them all the same.")
            }
        }
        let facts: [(String, String?, String?)] = [
            ("program", first.programVersion, second.programVersion), ("precision", first.precision, second.precision),
            ("half rounding", first.halfRounding, second.halfRounding),
            ("low memory", first.lowMemory?.description, second.lowMemory?.description),
            ("optimising", first.optimize?.description, second.optimize?.description),
            ("threads", first.machine?.threads?.description, second.machine?.threads?.description),
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
            /// Missing in reports of older versions.
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
        let lowMemory: Bool?
        let optimize: Bool?
        let halfRounding: String?
        let steps: Int?

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
