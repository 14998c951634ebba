import ArgumentParser
import Foundation
import GraphRuntime
import Ops
import SDPipeline

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Times a model: a graph with each of its operators, or a whole pipeline.",
        discussion: """
            Inputs that aren't given are pseudo-random numbers (ones where they are integers). A model folder without --component \
            makes pictures, and its time is split into the parts of the pipeline.

            EXAMPLES:
              sd-onnx bench vae_decoder/model.onnx --shape latent_sample=1,4,64,64
              sd-onnx bench stable-diffusion-onnx --component unet --by layer --flamegraph unet.svg
              sd-onnx bench stable-diffusion-onnx --steps 20 --trace picture.json
              sd-onnx bench compare before.json after.json --threshold 5

            "sd-onnx bench compare --help" tells about comparing two reports.
            """)

    @Argument(help: "The model: a file, or a pipeline's folder.", transform: OptionValues.path)
    var model: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Of a folder, the one graph to time.", valueName: "unet|vae_decoder|…"))
    var component: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "The shape of an input. Without it a model folder's files or the declared shape decide.",
            valueName: "NAME=2,4,64,64"),
        transform: OptionValues.namedShape)
    var shape: [NamedShape] = []

    @Option(
        name: [.short, .long], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The array for an input, in the place of pseudo-random numbers.", valueName: "NAME=FILE.npy"),
        transform: OptionValues.namedFile)
    var input: [NamedFile] = []

    @Option(
        parsing: .unconditional, help: "Of a folder without --component, steps of the scheduler. (default: 20)",
        transform: OptionValues.whole(1...Int.max))
    var steps: Int?

    @Option(
        parsing: .unconditional, help: "Timed runs. (default: 5, of a whole pipeline 1)",
        transform: OptionValues.whole(1...1_000_000))
    var iterations: Int?

    @Option(parsing: .unconditional, help: "Runs before those. (default: 1)", transform: OptionValues.whole(0...1_000_000))
    var warmup = 1

    @Option(
        parsing: .unconditional, help: "What makes a row of the table: op, node, shape, fusion or layer. (default: op)",
        transform: OptionValues.choice)
    var by = ProfileTable.Grouping.op

    @Option(
        parsing: .unconditional, help: "Largest first by time, flops or memory. (default: time)", transform: OptionValues.choice
    )
    var sort = ProfileTable.Order.time

    @Option(parsing: .unconditional, help: "Rows to show. (default: all)", transform: OptionValues.whole(1...Int.max))
    var top: Int?

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @OptionGroup var numbers: PrecisionOptions

    @Flag(help: "Run the graph node by node as it is in the file.")
    var noOptimize = false

    @OptionGroup var files: ProfileFiles

    func validate() throws {
        if let name = shape.map(\.name).firstDuplicate { throw ValidationError("The shape of \"\(name)\" is given twice.") }
        if let name = input.map(\.name).firstDuplicate { throw ValidationError("The input \"\(name)\" is given twice.") }
        if let name = (shape.map(\.name) + input.map(\.name)).firstDuplicate {
            throw ValidationError("--shape and --input both name \"\(name)\": the file has its own shape, leave out --shape.")
        }
        if noOptimize, by == .fusion {
            throw ValidationError(
                "--by fusion shows what the optimizer made, and --no-optimize switches it off: leave out one.")
        }
        try numbers.check(noOptimize: noOptimize, memory: memory)
        if steps != nil, component != nil {
            throw ValidationError(
                "--steps is for a whole pipeline, and --component \(component ?? "") for one graph: leave out one.")
        }
        if NamedModel.isFolder(model), component == nil {
            if !shape.isEmpty || !input.isEmpty {
                throw ValidationError(
                    "\(shape.isEmpty ? "--input" : "--shape") is for one graph, and \(model) is a pipeline's folder: add --component."
                )
            }
        } else if !NamedModel.isFolder(model), steps != nil {
            throw ValidationError("--steps is for a pipeline's folder, and \(model) isn't a folder: leave out --steps.")
        }
    }

    func run() throws {
        try files.check()
        if NamedModel.isFolder(model), component == nil { return try benchPipeline(model) }
        try benchGraph(try NamedModel(model, component: component))
    }

    private func benchGraph(_ model: NamedModel) throws {
        let pool = try threads.makePool()
        let clock = ContinuousClock()
        let start = clock.now
        let session = try Session(
            modelFile: model.path, optimize: !noOptimize, pool: pool, memory: memory, numbers: numbers)
        var preparation = BenchReport.Preparation(load: (clock.now - start).seconds)
        let inputs = try ModelInputs(
            session: session,
            .init(
                shapes: shape, files: InputFile.read(input), suggested: model.suggestedShapes(session.inputs),
                limits: memory.limits))
        let profile = Profile()
        var seconds: [Double] = []
        var paces: [Double] = []
        do {
            let plan = try session.prepare(inputs.tensors)
            (preparation.specialise, preparation.plan) = (plan.specialiseSeconds, plan.planSeconds)
            let values = inputs.tensors.mapValues { Value.tensor($0) }
            func time(_ observer: Profile?) throws -> Double {
                let begin = clock.now
                _ = try session.run(values: values, observer: observer)
                return (clock.now - begin).seconds
            }
            var last = Double.infinity
            for _ in 0..<warmup { last = try time(nil) }
            if files.trace != nil { pool.startRecording() }
            for iteration in 0..<(iterations ?? 5) {
                addPace(to: &paces, before: iteration, of: iterations ?? 5, pool)
                let isTimedAlone = files.trace == nil && last < Self.observedSeconds
                last = try time(isTimedAlone ? nil : profile)
                if isTimedAlone { _ = try time(profile) }
                seconds.append(last)
            }
        } catch {
            throw CommandFailure("\(model.path) failed: \(error).")
        }
        let work = pool.stopRecording()
        let peakBytes = TensorStorage.peakBytes
        var report = BenchReport(
            seconds: seconds, preparation: preparation, profile: profile, peakBytes: peakBytes,
            peak: try MachinePeak(threads: pool), inputs: inputs.tensors,
            precision: numbers.precision, by: by, order: sort)
        report.model = try ModelIdentity(path: model.path, graphs: [URL(fileURLWithPath: model.path)])
        report.paceMs = paces
        (report.lowMemory, report.optimize) = (memory.savesMemory, !noOptimize)
        report.halfRounding = numbers.half.halfRounding.rawValue
        report.weights = numbers.weights.rawValue
        try files.write(
            report, profile, work: work, title: model.path, table: BenchTable(report: report, top: top).text)
    }

    /// To note each node takes a tenth of a microsecond, much of what a small network takes: runs shorter than this are timed without,
    /// and made once more for the table.
    private static let observedSeconds = 0.1

    /// As many figures of a long bench as of one of fifty runs.
    private func addPace(to paces: inout [Double], before iteration: Int, of count: Int, _ pool: ThreadPool) {
        guard iteration % max(count / 50, 1) == 0 else { return }
        paces.append(1000 * MachinePace.seconds(threads: pool))
    }

    private func benchPipeline(_ folder: String) throws {
        let pool = try threads.makePool()
        let clock = ContinuousClock()
        let start = clock.now
        let configuration = try PipelineConfiguration(modelFolder: URL(fileURLWithPath: folder))
        let request = try Self.request(configuration, steps: steps ?? 20)
        _ = try configuration.plan(for: request)
        let pipeline = try StableDiffusionPipeline(
            configuration, threads: pool, optimize: !noOptimize, savesMemory: memory.savesMemory,
            precision: numbers.precision, halfRounding: numbers.half.halfRounding, weights: numbers.weights,
            panelCache: try memory.panelCache(), limits: memory.limits)
        let preparation = BenchReport.Preparation(load: (clock.now - start).seconds)
        for _ in 0..<warmup { _ = try pipeline.generate(request) }
        let profile = Profile()
        var seconds: [Double] = []
        var paces: [Double] = []
        if files.trace != nil { pool.startRecording() }
        let cpuSeconds = PipelineParts.cpuSeconds
        for iteration in 0..<(iterations ?? 1) {
            addPace(to: &paces, before: iteration, of: iterations ?? 1, pool)
            let begin = clock.now
            let result = try pipeline.generate(request, observer: profile)
            try Section.time("PNG", for: profile) { for image in result.images { _ = try PNGFile.encode(image) } }
            seconds.append((clock.now - begin).seconds)
        }
        let usedSeconds = PipelineParts.cpuSeconds - cpuSeconds
        let work = pool.stopRecording()
        let peakBytes = TensorStorage.peakBytes
        var report = BenchReport(
            seconds: seconds, preparation: preparation, profile: profile, peakBytes: peakBytes,
            peak: try MachinePeak(threads: pool), inputs: [:],
            precision: numbers.precision, by: by, order: sort)
        let parts = PipelineParts(
            profile, seconds: seconds.reduce(0, +), cpuSeconds: usedSeconds, iterations: seconds.count)
        report.parts = parts
        report.steps = request.steps
        addPace(to: &paces, before: 0, of: 1, pool)
        let modelFolder = try ModelFolder(URL(fileURLWithPath: folder))
        report.model = try ModelIdentity(path: folder, graphs: modelFolder.components.map { try modelFolder.graph(of: $0) })
        report.paceMs = paces
        (report.lowMemory, report.optimize) = (memory.savesMemory, !noOptimize)
        report.halfRounding = numbers.half.halfRounding.rawValue
        report.weights = numbers.weights.rawValue
        try files.write(
            report, profile, work: work, title: folder,
            table: parts.text + "\n\n" + BenchTable(report: report, top: top).text)
    }

    /// A picture of the size that the model was trained at; over a gray one, all of it masked, where the model takes such.
    private static func request(_ configuration: PipelineConfiguration, steps: Int) throws -> GenerationRequest {
        var request = GenerationRequest(prompt: "a picture", steps: steps, seed: 0)
        guard configuration.needsPicture || configuration.isInpaintingModel else { return request }
        let (width, height) = (configuration.sizes.defaultWidth, configuration.sizes.defaultHeight)
        request.initialImage = try RGBImage(
            width: width, height: height, pixels: [UInt8](repeating: 128, count: 3 * width * height))
        request.strength = 1
        if configuration.isInpaintingModel {
            let values = [UInt8](repeating: 255, count: width * height)
            request.inpainting = Inpainting(mask: try PictureMask(width: width, height: height, values: values))
        }
        return request
    }
}
