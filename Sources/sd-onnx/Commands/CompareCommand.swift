import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Finds the first node of a model whose value differs from a reference.",
        discussion: """
            Tools/dump-intermediates.py writes a reference with ONNX Runtime. The exit code is 1 where a value differs.

            EXAMPLES:
              sd-onnx compare unet/model.onnx --reference dump
              sd-onnx compare unet/model.onnx --no-optimize --shape sample=1,4,64,64
              sd-onnx compare unet/model.onnx --dump own
            """)

    @Argument(help: "The model: a file, or a pipeline's folder.", transform: OptionValues.path)
    var model: String

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Of a folder, the one graph to compare.", valueName: "unet|vae_decoder|…"))
    var component: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The folder of .npy files and index.json with the inputs and the values to hold against.", valueName: "DIR"),
        transform: OptionValues.path)
    var reference: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write every value of this runtime, in the reference's form.", valueName: "DIR"),
        transform: OptionValues.path)
    var dump: String?

    @Flag(
        help: """
            Run only node by node, as the graph is in the file; without --reference, hold the optimised graph against that.
            """)
    var noOptimize = false

    @Option(
        parsing: .unconditional,
        help: """
            The difference of an element that passes, over the largest magnitude of the reference's value; a tenth of it for the mean \
            difference over the mean magnitude. (default: 0.001)
            """,
        transform: OptionValues.number)
    var tolerance = 1e-3

    @Option(
        name: [.short, .long], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The array for an input, without --reference.", valueName: "NAME=FILE.npy"),
        transform: OptionValues.namedFile)
    var input: [NamedFile] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The shape of a made-up input, without --reference.", valueName: "NAME=2,4,64,64"),
        transform: OptionValues.namedShape)
    var shape: [NamedShape] = []

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var half: HalfRoundingOptions

    @OptionGroup var limitOptions: LimitOptions

    @Flag(help: "Print a JSON object, with every value.")
    var json = false

    func validate() throws {
        for (name, path) in [("--reference", reference), ("--dump", dump)] where path == "" {
            throw ValidationError("\(name) is empty, expected a folder's name.")
        }
        if reference == nil, dump == nil, !noOptimize {
            throw ValidationError("There is nothing to compare with: give --reference, --dump or --no-optimize.")
        }
        if tolerance < 0 { throw ValidationError("--tolerance is \(tolerance), expected 0 or more.") }
        if reference != nil, !shape.isEmpty || !input.isEmpty {
            throw ValidationError(
                "\(shape.isEmpty ? "--input" : "--shape") and --reference both say what the inputs are: leave out one.")
        }
        if let name = (shape.map(\.name) + input.map(\.name)).firstDuplicate {
            throw ValidationError("The input \"\(name)\" is given twice.")
        }
        if let reference, let dump,
            URL(fileURLWithPath: reference).standardizedFileURL == URL(fileURLWithPath: dump).standardizedFileURL
        {
            throw ValidationError("--reference and --dump both name \(reference): give them different folders.")
        }
    }

    func run() throws {
        let named = try NamedModel(model, component: component)
        let outputFolder = dump.map(OutputFolder.init)
        try outputFolder?.check()
        let dumped = try reference.map { try ValueFolder(URL(fileURLWithPath: $0)) }
        let loaded = try ONNXModel(contentsOf: URL(fileURLWithPath: named.path), limits: limitOptions.limits)
        let pool = try threads.makePool()
        let plain = try session(loaded, named, optimize: false, pool)
        let inputs =
            try dumped?.inputs(for: plain.inputs)
            ?? ModelInputs(
                session: plain,
                .init(
                    shapes: shape, files: InputFile.read(input), suggested: named.suggestedShapes(plain.inputs),
                    limits: limitOptions.limits)
            ).tensors
        var report = CompareReport(model: named.path, tolerance: tolerance)
        let names = loaded.graph.nodes.flatMap { $0.outputs.compactMap { $0.map { loaded.graph.values[$0].name } } }
        let writer = try outputFolder.map { try ValueFolderWriter($0, inputs: inputs, values: names) }
        // Without files to hold against, the values themselves are kept: each has memory of its own when nothing is planned.
        var kept: [String: Tensor] = [:]
        let isOwnReference = dumped == nil && noOptimize
        var comparison = CompareReport.Comparison(of: "node by node")
        try run(plain, inputs, named) { result in
            try writer?.add(result.name, result.tensor)
            if isOwnReference { kept[result.name] = result.tensor }
            if let expected = try dumped?.value(result.name) { try comparison.add(result, expected, tolerance: tolerance) }
        }
        try writer?.finish(model: named.path)
        if let dumped { report.comparisons.append(comparison.finished(outOf: dumped.valueNames)) }
        if isOwnReference || (dumped != nil && !noOptimize) {
            var comparison = CompareReport.Comparison(of: "optimised")
            try run(try session(loaded, named, optimize: true, pool), inputs, named) { result in
                let expected = isOwnReference ? kept[result.name] : try dumped?.value(result.name)
                if let expected { try comparison.add(result, expected, tolerance: tolerance) }
            }
            report.comparisons.append(comparison.finished(outOf: isOwnReference ? Set(kept.keys) : dumped?.valueNames ?? []))
        }
        try conclude(report)
    }

    private func conclude(_ report: CompareReport) throws {
        if json {
            try StandardStreams.printJSON(report)
        } else if !report.comparisons.isEmpty {
            try StandardStreams.printOutput(report.text)
        }
        if let dump, !json { StandardStreams.printError("The values are in \(URL(fileURLWithPath: dump).path).") }
        for comparison in report.comparisons {
            guard comparison.compared > 0 else {
                throw CommandFailure(
                    reference == nil
                        ? "The model computes no value that both runs have."
                        : "The reference has no value that the model computes.")
            }
            if let first = comparison.first {
                throw CommandFailure(Sentence.of("\(comparison.run): the first node that differs is \(first.sentence)."))
            }
        }
    }

    private func session(_ model: ONNXModel, _ named: NamedModel, optimize: Bool, _ pool: ThreadPool) throws -> Session {
        var options = SessionOptions(optimize: optimize, threads: pool, halfRounding: half.halfRounding)
        options.limits = limitOptions.limits
        do {
            return try Session(graph: model.graph, library: StandardOperators.library, options: options)
        } catch {
            throw CommandFailure("\(named.path) can't be run: \(error).")
        }
    }

    private func run(
        _ session: Session, _ inputs: [String: Tensor], _ named: NamedModel,
        _ body: @escaping (ValueWatcher.Result) throws -> Void
    ) throws {
        let watcher = ValueWatcher(body)
        do { _ = try session.run(values: inputs.mapValues { .tensor($0) }, observer: watcher) } catch {
            throw CommandFailure("\(named.path) failed: \(error).")
        }
        if let error = watcher.error { throw error }
    }
}
