import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Runs ONNX backend tests: models with inputs and the outputs that belong to them.",
        discussion: """
            A case is a folder with model.onnx and folders test_data_set_* of input_N.pb and output_N.pb; cases are looked for in all \
            folders below DIR. Prints PASS, FAIL or SKIP for each, with the reason. Skipped are models with operators, versions or types that \
            aren't implemented, and random numbers. The exit code is 1 where a case fails.

            EXAMPLES:
              sd-onnx verify onnx/backend/test/data/node
              sd-onnx verify node/test_conv_with_strides_padding --no-optimize
            """)

    @Argument(help: "Folders: a case each, or any number of them.", transform: OptionValues.path)
    var folders: [String]

    @Flag(help: "Run each graph node by node as it is in the file.")
    var noOptimize = false

    @Option(
        parsing: .unconditional,
        help: """
            The difference that passes, as a part of the expected element's magnitude. (default: the case's own in data.json, or 0.001, and \
            1/64 for bfloat16)
            """,
        transform: OptionValues.number)
    var rtol: Double?

    @Option(
        parsing: .unconditional,
        help: "The difference that passes beside that. (default: the case's own in data.json, or 1e-7)",
        transform: OptionValues.number)
    var atol: Double?

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var half: HalfRoundingOptions
    @OptionGroup var limitOptions: LimitOptions

    @Flag(help: "Print a JSON object with every case.")
    var json = false

    func validate() throws {
        if folders.contains("") { throw ValidationError("A folder's name is empty.") }
        for (name, value) in [("--rtol", rtol), ("--atol", atol)] {
            if let value, value < 0 { throw ValidationError("\(name) is \(value), expected 0 or more.") }
        }
    }

    func run() throws {
        let cases = try folders.flatMap { try Self.find(in: $0) }
        var options = SessionOptions(
            optimize: !noOptimize, threads: try threads.makePool(), halfRounding: half.halfRounding)
        options.limits = limitOptions.limits
        let runner = BackendTestRunner(
            library: StandardOperators.library, options: options, relative: rtol, absolute: atol)
        var report = VerifyReport()
        // The lines of the cases themselves show how far it is.
        var progress = ProgressBar(title: "Cases", unit: "case", isSilent: !json)
        for (index, testCase) in cases.enumerated() {
            progress.update(completed: index, total: cases.count)
            let entry = report.add(testCase.name, try runner.run(testCase))
            if !json { try StandardStreams.printOutput(Printable.line(entry.text)) }
        }
        progress.update(completed: cases.count, total: cases.count)
        if json { try StandardStreams.printJSON(report) } else { try StandardStreams.printOutput(report.summary) }
        guard report.failed == 0 else {
            throw CommandFailure("\(report.failed) of \(cases.count) cases \(report.failed == 1 ? "fails" : "fail").")
        }
    }

    private static func find(in folder: String) throws -> [BackendTestCase] {
        let found: [BackendTestCase]
        do { found = try BackendTestCase.find(in: URL(fileURLWithPath: folder)) } catch {
            throw CommandFailure("\(error).")
        }
        guard !found.isEmpty else {
            throw CommandFailure(
                "\(folder) has no case: expected folders with model.onnx and test_data_set_* (input_0.pb, output_0.pb, …).")
        }
        return found
    }
}
