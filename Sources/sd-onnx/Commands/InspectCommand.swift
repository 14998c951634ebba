import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Shows what is in a model: a file, or a pipeline's folder.",
        discussion: """
            Without options a summary. --optimized and --plan need the inputs' shapes, and take them as bench does. The model's external data \
            may be missing, but for these two.

            EXAMPLES:
              sd-onnx inspect stable-diffusion-onnx
              sd-onnx inspect unet/model.onnx --svg unet.svg
              sd-onnx inspect stable-diffusion-onnx --component unet --optimized
              sd-onnx inspect vae_decoder/model.onnx --plan memory.svg --shape latent_sample=1,4,64,64
            """)

    @Argument(help: "The model: a file, or a pipeline's folder; or an adapter (.safetensors).", transform: OptionValues.path)
    var model: String

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Of a folder, the one graph to show.", valueName: "unet|vae_decoder|…"))
    var component: String?

    @Flag(help: "Print the nodes.")
    var graph = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the graph for Graphviz, modules collapsed; - prints it.", valueName: "FILE.dot"),
        transform: OptionValues.path)
    var dot: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Draw the graph, modules collapsed.", valueName: "FILE.svg"),
        transform: OptionValues.path)
    var svg: String?

    @Option(
        parsing: .unconditional, help: "Levels of modules to tell apart in drawings. (default: as many as give 64 boxes)",
        transform: OptionValues.whole(1...64))
    var depth: Int?

    @Flag(help: "Take the graph after the optimizer's passes, and report every fusion that fired, or nearly did.")
    var optimized = false

    @Flag(help: "Print figures of every constant: least, greatest, mean, NaN.")
    var weights = false

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Draw the memory of a run over its steps.", valueName: "FILE.svg"),
        transform: OptionValues.path)
    var plan: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The shape of an input, for --optimized and --plan.", valueName: "NAME=2,4,64,64"),
        transform: OptionValues.namedShape)
    var shape: [NamedShape] = []

    @OptionGroup var limitOptions: LimitOptions

    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        for (name, path) in [("--dot", dot), ("--svg", svg), ("--plan", plan)] where path == "" {
            throw ValidationError("\(name) is empty, expected a file's name.")
        }
        for (name, path) in [("--svg", svg), ("--plan", plan)] where path == "-" {
            throw ValidationError("\(name) is -, expected a file.")
        }
        if dot == "-", json || graph || weights {
            throw ValidationError(
                "--dot - prints the drawing, and --json, --graph and --weights print too: name a file for it.")
        }
        try OutputFormat.dot.check(dot, option: "--dot")
        try OutputFormat.svg.check(svg, option: "--svg")
        try OutputFormat.svg.check(plan, option: "--plan")
        if depth != nil, dot == nil, svg == nil { throw ValidationError("--depth is for drawings: add --dot or --svg.") }
        if !shape.isEmpty, !optimized, plan == nil { throw ValidationError("--shape needs --optimized or --plan.") }
        if let name = shape.map(\.name).firstDuplicate { throw ValidationError("The shape of \"\(name)\" is given twice.") }
        let paths = [dot, svg, plan].compactMap { $0 }.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
        if let path = paths.firstDuplicate, path != "/dev/null" {
            throw ValidationError("Two options name \(path): give them different files.")
        }
        if isAdapter, component != nil || needsOneGraph {
            throw ValidationError("\(model) is no model's graph: of the options, --json is for adapters.")
        }
        if component == nil, NamedModel.isFolder(model), needsOneGraph {
            throw ValidationError(
                "\(model) is a pipeline's folder, and all options but --json and --max-memory are for one graph: add --component."
            )
        }
    }

    /// Whether the file is an adapter by its name.
    private var isAdapter: Bool { model.lowercased().hasSuffix(".safetensors") && !NamedModel.isFolder(model) }

    private var needsOneGraph: Bool {
        graph || dot != nil || svg != nil || optimized || weights || plan != nil
    }

    func run() throws {
        try AtomicFile.check([dot, svg, plan].compactMap { $0 }.filter { $0 != "-" }.map { URL(fileURLWithPath: $0) })
        if isAdapter { return try inspectAdapter() }
        if component == nil, NamedModel.isFolder(model) { return try inspectFolder() }
        let named = try NamedModel(model, component: component)
        let loaded = try load(URL(fileURLWithPath: named.path))
        var report = InspectReport(path: named.path, summary: ModelReport(loaded, path: named.path))
        let inspection = optimized || plan != nil ? try inspectPlan(loaded, named) : nil
        if let inspection, optimized { report.optimized = OptimizedReport(inspection) }
        if let inspection, plan != nil { report.plan = PlanReport(inspection) }
        let shown = optimized ? inspection?.graph ?? loaded.graph : loaded.graph
        let facts = optimized ? inspection?.facts : nil
        if graph { report.nodes = GraphListing.nodes(shown, facts, kernels: optimized ? inspection?.steps.map(\.kernel) : nil) }
        if weights { report.weights = try loaded.graph.weightStatistics().map(WeightReport.init) }
        try write(report, shown, facts, inspection)
    }

    private func load(_ file: URL) throws -> ONNXModel {
        try ONNXModel(contentsOf: file, limits: limitOptions.limits, toleratesMissingData: true)
    }

    private func inspectPlan(_ loaded: ONNXModel, _ named: NamedModel) throws -> PlanInspection {
        if let missing = loaded.missingData.first {
            throw CommandFailure(
                "\(named.path): \(missing.reason), and --optimized and --plan depend on the values in it: only the other options do "
                    + "without.")
        }
        do {
            var options = SessionOptions()
            options.limits = limitOptions.limits
            let session = try Session(graph: loaded.graph, library: StandardOperators.library, options: options)
            let inputs = try ModelInputs(
                session: session, .init(shapes: shape, suggested: named.suggestedShapes(session.inputs)))
            return try session.inspect(inputs.tensors)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure("\(named.path) can't be optimised: \(error).")
        }
    }

    private func write(_ report: InspectReport, _ graph: Graph, _ facts: [Fact]?, _ inspection: PlanInspection?) throws {
        var files: [OutputFile] = []
        let drawing = dot != nil || svg != nil ? GraphDrawing(graph, facts: facts, depth: depth, title: report.path) : nil
        if let drawing {
            if let dot, dot != "-" { files.append((Array(drawing.dot.utf8), URL(fileURLWithPath: dot))) }
            if let svg { files.append((Array(drawing.svg.utf8), URL(fileURLWithPath: svg))) }
        }
        if let plan, let inspection {
            files.append((Array(MemoryDrawing(inspection, title: report.path).svg.utf8), URL(fileURLWithPath: plan)))
        }
        try Interruption.whileWriting { try AtomicFile.write(files) }
        if json { return try StandardStreams.printJSON(report) }
        if let drawing, dot == "-" {
            if let gap = report.summary.gap { StandardStreams.printError(Sentence.of(gap)) }
            return try StandardStreams.writeReport(Array(drawing.dot.utf8))
        }
        try StandardStreams.printOutput(report.text)
    }

    private func inspectAdapter() throws {
        let summary = AdapterSummary(try LoRA(contentsOf: URL(fileURLWithPath: model)))
        if json { try StandardStreams.printJSON(summary) } else { try StandardStreams.printOutput(AdapterReport.text(summary)) }
    }

    private func inspectFolder() throws {
        let folder = try ModelFolder(URL(fileURLWithPath: model))
        guard !folder.components.isEmpty else {
            // Whether it has weights of PyTorch instead, which have to be exported first, is said there.
            _ = try folder.graph(of: "unet")
            throw CommandFailure("\(model) has no folder with a model.onnx.")
        }
        var components: [ModelReport] = []
        for name in folder.components {
            let file = try folder.graph(of: name)
            components.append(ModelReport(try load(file), path: file.path, component: name))
        }
        let report = FolderReport(path: folder.url.path, pipeline: folder.pipelineClass, components: components)
        if json { try StandardStreams.printJSON(report) } else { try StandardStreams.printOutput(report.text) }
    }
}
