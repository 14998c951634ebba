import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Makes pictures from a prompt.",
        discussion: """
            EXAMPLES:
              sd-onnx generate "a fox" -o fox.png
              sd-onnx generate "an owl" -b 4 -o owl-%02d.png --scheduler euler --steps 25
              sd-onnx generate "a castle" -m stable-diffusion-onnx -W 512 -H 512 --seed 7
              sd-onnx generate "a rocket" -o - | display
            """, aliases: ["txt2img", "img2img"])

    @Argument(help: ArgumentHelp("What the picture shows.", valueName: "prompt"))
    var promptArgument: String?

    @Option(
        name: [.customShort("p"), .long], parsing: .unconditional, help: "What the picture shows, in the place of the argument."
    )
    var prompt: String?

    @Option(
        name: [.customShort("n"), .long, .customLong("negative"), .customLong("neg-prompt")], parsing: .unconditional,
        help: "What to keep out of the picture.")
    var negativePrompt: String?

    @OptionGroup var model: ModelOptions

    @OptionGroup var parts: ModelPartOptions

    @Option(
        name: [.short, .long, .customLong("output-path"), .customLong("out")], parsing: .unconditional,
        help: ArgumentHelp(
            "The PNG file to write; %n or %03n becomes the picture's number, %s its seed, %p its prompt's words; - is standard output. (default: output.png)",
            valueName: "FILE.png"),
        transform: OptionValues.path)
    var output = "output.png"

    @Option(
        name: [.customShort("W"), .long, .customLong("W")], parsing: .unconditional,
        help: "Width in pixels. (default: the model's)",
        transform: OptionValues.whole(1...PictureSizes.largest))
    var width: Int?

    @Option(
        name: [.customShort("H"), .long, .customLong("H")], parsing: .unconditional,
        help: "Height in pixels. (default: the model's)",
        transform: OptionValues.whole(1...PictureSizes.largest))
    var height: Int?

    @Option(
        name: [.long, .customLong("num-inference-steps"), .customLong("sampling-steps")], parsing: .unconditional,
        help: "Steps of the scheduler. (default: 20)", transform: OptionValues.whole(1...Int.max))
    var steps = 20

    @Option(
        name: [.long, .customLong("cfg"), .customLong("guidance-scale"), .customLong("guidance")], parsing: .unconditional,
        help:
            "Guidance scale: how much the prompt counts; 1 and below switch guidance off. (default: 7.5; of SDXL 5, of models made for none 1)",
        transform: OptionValues.number)
    var cfgScale: Double?

    @Option(
        name: [.short, .long], parsing: .unconditional, help: "Seed of the start noise; -1 draws one. (default: -1)",
        transform: OptionValues.seed)
    var seed: Seed?

    @Option(
        name: [.short, .long, .customLong("batch-size"), .customLong("num-images"), .customLong("num-images-per-prompt")],
        parsing: .unconditional, help: "Pictures to make. (default: 1)",
        transform: OptionValues.whole(1...4096))
    var batchCount = 1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Picture i of a batch has a generator of its own, with the seed plus i; or all share one, as with diffusers' single generator. (default: consecutive)",
            valueName: "consecutive|shared"),
        transform: OptionValues.choice)
    var batchSeeds = BatchSeeds.consecutive

    @Option(
        name: [.long, .customLong("sampler"), .customLong("sampling-method"), .customLong("sampler-name")],
        parsing: .unconditional,
        help: ArgumentHelp(
            "The scheduler, by any name that \"sd-onnx schedulers\" lists, or several as a list. (default: the model's)",
            valueName: "NAME"))
    var scheduler: String?

    @OptionGroup var schedulerOptions: SchedulerOptions

    @Flag(
        help:
            "Make the picture with every scheduler for models of diffusion that takes the options, as one labelled sheet; several names for --scheduler do so with these."
    )
    var compareSchedulers = false

    @OptionGroup var previews: PreviewOptions

    @OptionGroup var live: LivePreviewOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Decode and encode pictures in overlapping tiles, which takes less memory: of the size that the VAE was trained at, or of so many pixels; auto does so where the whole wouldn't fit into the memory. (default: auto)",
            valueName: "auto|on|off|PIXELS"), transform: OptionValues.tiling)
    var vaeTiling = VAETiling.automatic

    @Flag(
        name: .long,
        help: "Let the model's safety checker look at the pictures, and blacken those that it flags. (default: off)")
    var safetyChecker = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write where the time went, in the form of \"sd-onnx bench --json\".", valueName: "FILE.json"),
        transform: OptionValues.path)
    var profile: String?

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @OptionGroup var numbers: PrecisionOptions

    @OptionGroup var tokenizer: TokenizerOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write the last step's latents, float32 [N, C, h, w] before the division by the VAE's scaling factor.",
            valueName: "FILE.npy"), transform: OptionValues.path)
    var saveLatents: String?

    @OptionGroup var start: StartOptions

    @OptionGroup var controlling: ControlOptions

    @OptionGroup var saving: EvaluationOptions

    @OptionGroup var conditions: ConditionOptions

    @OptionGroup var prompting: PromptOptions

    @OptionGroup var seeding: SeedOptions

    @OptionGroup var replay: ReplayOptions

    @OptionGroup var sheet: SheetOptions

    @OptionGroup var best: BestOptions

    @OptionGroup var hires: HiresOptions

    @Option(
        name: .customLong("prompts"), parsing: .unconditional,
        help: ArgumentHelp(
            "Take prompts from this file, - for standard input: each line one, or a JSON object of options by their long names.",
            valueName: "FILE|-"), transform: OptionValues.path)
    var promptFile: String?

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    @Flag(help: "Print a JSON object about the pictures on standard output.")
    var json = false

    func validate() throws {
        switch (promptArgument, prompt) {
        case (nil, nil) where promptFile != nil || replay.from != nil || sheet.xy.contains { $0.name == "prompt" }: break
        case _ where promptFile != nil && !Self.isLine:
            throw ValidationError("--prompts and a prompt both say what the pictures show: give one.")
        case (nil, nil): throw ValidationError("There is no prompt: give one as argument or with --prompt.")
        case (.some, .some): throw ValidationError("There are two prompts, the argument and --prompt: give one.")
        default: break
        }
        try checkPromptFile()
        try numbers.check(noOptimize: false, memory: memory)
        if replay.from == nil || Self.isLine {
            try start.check()
            try controlling.check()
            try hires.check()
        }
        if start.initLatents != nil, seeding.variationStrength != nil {
            throw ValidationError(
                "--init-latents and --variation-strength both say what noise to start from: give one.")
        }
        for name in comparedSchedulers ?? scheduler.map({ [$0] }) ?? [] {
            try SchedulerOptions.check(name: name)
        }
        if let comparedSchedulers, comparedSchedulers.contains("") {
            throw ValidationError("--scheduler is \"\(scheduler ?? "")\", expected names with commas between them.")
        }
        if compareSchedulers, scheduler != nil {
            throw ValidationError("--scheduler and --compare-schedulers both say what to compare: give one.")
        }
        try checkSheet()
        try checkBest()
        if hires.isAsked, start.initImg != nil {
            throw ValidationError(
                "--hires is for pictures from a prompt alone, and --init-img starts from a picture: give one.")
        }
        if hires.isAsked, parts.refiner != nil {
            throw ValidationError("--hires and --refiner both add a second pass: give one.")
        }
        if profile == "" || profile == "-" {
            throw ValidationError("--profile is \(profile == "-" ? "-" : "empty"), expected a file's name.")
        }
        if comparedSchedulers != nil, live.isUsed || profile != nil {
            throw ValidationError(
                "Several schedulers make one sheet: \(profile != nil ? "--profile" : "--preview") takes one scheduler.")
        }
        if comparedSchedulers != nil, output.contains("%") || saveLatents != nil || previews.isUsed {
            throw ValidationError(
                "Several schedulers make one sheet: -o takes a plain name, and --save-latents, --save-steps and --strip one scheduler."
            )
        }
        if output == "-" {
            if json { throw ValidationError("--json and -o - would both write to standard output: choose one.") }
            if batchCount > 1, !sheet.grid {
                throw ValidationError("-o - takes one picture, found --batch-count \(batchCount).")
            }
            if isatty(STDOUT_FILENO) == 1 { throw ValidationError("-o - would write a PNG to the terminal: redirect it.") }
        } else {
            do { _ = try OutputPattern(output) } catch { throw ValidationError("\(error)") }
        }
        try OutputFormat.png.check(output, option: "--output")
        try OutputFormat.npy.check(saveLatents, option: "--save-latents")
        try OutputFormat.json.check(profile, option: "--profile")
        if saveLatents == "" { throw ValidationError("--save-latents is empty, expected a file's name.") }
        if saveLatents == "-" {
            throw ValidationError("--save-latents is -, expected a file: standard output is for the picture.")
        }
    }

    func run() throws {
        guard let from = replay.from else { return try run(arguments: Self.ownArguments) }
        let picture = try ReplayedPicture(from)
        let arguments = try picture.arguments(beside: self) + Self.ownArguments
        let command: Self
        do { command = try Self.$isLine.withValue(true) { try Self.parse(arguments) } } catch {
            let reason = Self.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
            throw CommandFailure("What \(from) says and the options given don't go together: \(reason)")
        }
        try Self.$origin.withValue(Origin(picture: picture, place: picture.place(in: self))) {
            try command.run(arguments: arguments)
        }
    }

    /// - Parameter arguments: those that this command was made of.
    private func run(arguments: [String]) throws {
        guard let promptFile else {
            var command = self
            command.seed = seed ?? .drawn()
            if !sheet.xy.isEmpty { return try command.runSheet(arguments: arguments, file: try command.outputFiles()?.first) }
            return try command.run(GenerateModels([command]), files: try command.outputFiles())
        }
        try runLines(of: promptFile, arguments: arguments)
    }

    /// What the program was started with, after the command's name.
    static var ownArguments: [String] {
        let arguments = CommandLine.arguments.dropFirst(2)
        // What ends the options would make arguments of the lines' own.
        return Array(arguments.last == "--" ? arguments.dropLast() : arguments)
    }

    /// Whether a line of `--prompts`, or what `--from` stands for, is being read.
    @TaskLocal static var isLine = false

    /// The picture that is made again.
    @TaskLocal private static var origin: Origin?

    private struct Origin {
        let picture: ReplayedPicture
        /// Of a batch that is made as a whole, the picture that is kept.
        let place: Int?
    }

    /// What doesn't go with sheets.
    private func checkSheet() throws {
        try sheet.check([
            ("--prompts", promptFile != nil), ("several schedulers", comparedSchedulers != nil),
            ("--save-latents", saveLatents != nil), ("--save-steps and --strip", previews.isUsed), ("--preview", live.isUsed),
            ("--profile", profile != nil), ("%n, %s or %p in -o", output.contains("%")),
            ("--batch-count", !sheet.xy.isEmpty && batchCount > 1),
        ])
    }

    /// Pictures that are made at once.
    private var count: Int { best.bestOf ?? batchCount }

    private func checkBest() throws {
        let others = [
            ("--batch-count", batchCount > 1), ("--grid", sheet.grid), ("--xy", !sheet.xy.isEmpty),
            ("several schedulers", comparedSchedulers != nil), ("--save-latents", saveLatents != nil),
            ("--save-steps and --strip", previews.isUsed), ("--preview", live.isUsed), ("--batch-seeds", batchSeeds == .shared),
            ("%s in -o", output.contains("%s")),
        ]
        if best.bestOf != nil, let (name, _) = others.first(where: { $0.1 }) {
            throw ValidationError("--best-of makes one picture of several, which doesn't go with \(name): leave one out.")
        }
    }

    /// What the pictures' names may say of them.
    func pictures(after number: Int) -> [OutputPattern.Picture] {
        let count = Self.origin?.place == nil && !sheet.grid ? batchCount : 1
        let seeds = (seeding.variationStrength ?? 0) > 0 ? BatchSeeds.shared : batchSeeds
        return seeds.seeds(first: seed?.value ?? 0, count: count).enumerated().map { index, seed in
            OutputPattern.Picture(number: number + index + 1, seed: seed, prompt: promptArgument ?? prompt ?? "")
        }
    }

    func request() throws -> GenerationRequest {
        var request = GenerationRequest(
            prompt: promptText, negativePrompt: negativePrompt, width: width, height: height, steps: steps,
            guidanceScale: cfgScale, seed: (seed ?? .drawn()).value, batchCount: count,
            batchSeeds: batchSeeds, scheduler: comparedSchedulers == nil ? scheduler : nil)
        request.schedulerOverrides = schedulerOptions.overrides
        request.stepOptions = schedulerOptions.stepOptions
        request.timestepRequest = schedulerOptions.request(steps: steps)
        request.previewInterval = previews.interval
        try start.prepare(&request)
        request.refinerStart = parts.refinerStart
        parts.adapters.fill(&request)
        request.pictureSizes = conditions.sizes
        prompting.fill(&request)
        try controlling.fill(&request, limit: start.limit)
        saving.fill(&request)
        request.noiseSource = seeding.noiseSource
        request.variation = seeding.variation
        request.livePreview = live.request
        request.checksSafety = safetyChecker
        request.vaeTiling = vaeTiling
        request.secondPass = hires.secondPass
        return request
    }

    /// The one plan of the command, with what the files hold that it starts from.
    func plans(_ configuration: PipelineConfiguration, profile: Profile?) throws -> [GenerationPlan] {
        let (request, picture) = (try request(), try start.picture())
        var plans = [
            try Section.time("tokenizer", for: profile) {
                try configuration.plan(for: request, startingFrom: picture.map { ($0.width, $0.height) })
            }
        ]
        try start.fill(&plans, picture: picture)
        return plans
    }

    /// Makes the pictures.
    ///
    /// - Parameter files: where they go; nil for standard output.
    func run(_ models: GenerateModels, files: [URL]?) throws {
        let configuration = try models.configuration(for: self)
        if let names = comparedSchedulers {
            return try compare(
                names, request: try request(), picture: try start.picture(), configuration: configuration, to: files)
        }
        let profiling = try profile.map { try ProfiledRun(file: $0, precision: numbers.precision) }
        let plans = try plans(configuration, profile: profiling?.profile)
        let plan = plans[0]
        warn(plans, configuration)

        let clip = try models.clip(for: self)
        let writer = try LivePreviewWriter(live)
        let (pipeline, pool) = try models.pipeline(for: self)
        profiling?.didLoad()
        var bar = ProgressBar(title: "Steps", isSilent: quiet)
        var previewError: (any Error)?
        var result: GenerationResult
        do {
            result = try pipeline.generate(plan, observer: profiling?.profile) { progress in
                switch progress {
                case .step(let completed, let total): bar.update(completed: completed, total: total)
                case .preview(_, _, let images):
                    do { if let first = images.first { try writer.show(first) } } catch { previewError = error }
                default: break
                }
                return previewError == nil
            }
        } catch {
            throw previewError ?? error
        }
        Self.origin?.picture.choose(&result, place: Self.origin?.place)
        if let clip {
            let sentence = try BestOptions.keepBest(of: &result, text: try plan.plainPrompt, by: clip)
            if !quiet { StandardStreams.printError(sentence) }
        }
        // The finished bar has left its line.
        if let picture = result.images.first {
            try writer.show(picture, linesBelow: quiet ? 0 : 1, text: try text(result.records.first))
        }
        if sheet.grid { return try writeGrid(result, to: files?.first) }
        let pictures = try Section.time("PNG", for: profiling?.profile) {
            try zip(result.images, result.records).map { try PNGFile.encode($0, text: text($1)) }
        }
        var contents: [OutputFile] =
            zip(pictures, files ?? []).map { ($0, $1) } + (try previews.files(result, saysHow: !replay.stripMetadata))
        if let saveLatents {
            let array = try NPYArray(floats: result.latents.values, shape: result.latents.shape)
            contents.append((array.bytes, URL(fileURLWithPath: saveLatents)))
        }
        if let profiling { contents.append(try profiling.file(inputs: [:], threads: pool, isPipeline: true)) }
        try write(contents)
        if !quiet { for notice in result.notices { StandardStreams.printError("\(notice)") } }
        warn(ofFlagged: result.flagged)
        // Files first: whoever reads standard output may stop.
        if files == nil { for picture in pictures { try StandardStreams.writeOutput(picture) } }
        try report(result, files: files?.map(\.path) ?? ["standard output"])
        if let origin = Self.origin, let record = result.records.first, let picture = pictures.first, !quiet {
            for line in try origin.picture.report(record, file: picture) { StandardStreams.printError(line) }
        }
    }

    /// What a picture says of itself.
    func text(_ record: GenerationRecord?) throws -> [PNGText] {
        replay.stripMetadata ? [] : try record?.pngText ?? []
    }

    /// A sheet of a batch, as wide as high or nearly so.
    private func writeGrid(_ result: GenerationResult, to file: URL?) throws {
        let columns = Int(Double(result.images.count).squareRoot().rounded(.up))
        let cells = zip(result.images, result.records).map { image, record in
            let seed = record.variationSeed.map { "variation \($0)" } ?? "seed \(record.seed)"
            return ContactSheet.Cell(image: image, lines: [record.batchSeeds == .shared ? "\(record.number)" : seed])
        }
        try write(sheet: ContactSheet(cells: cells, columns: columns).image(), record: result.records.first, to: file)
        if !quiet { for notice in result.notices { StandardStreams.printError("\(notice)") } }
        warn(ofFlagged: result.flagged)
        try report(result, files: [file?.path ?? "standard output"])
    }

    /// The schedulers that are to be compared; nil for a picture with one.
    var comparedSchedulers: [String]? {
        compareSchedulers
            ? SchedulerComparison.standardNames(overPicture: start.initImg != nil) : SchedulerComparison.names(scheduler)
    }

    private func compare(
        _ candidates: [String], request: GenerationRequest, picture: PictureSource?, configuration: PipelineConfiguration,
        to files: [URL]?
    ) throws {
        var (names, plans): ([String], [GenerationPlan]) = ([], [])
        var refusals: [(name: String, reason: any Error)] = []
        for name in candidates {
            var request = request
            request.scheduler = name
            do {
                plans.append(try configuration.plan(for: request, startingFrom: picture.map { ($0.width, $0.height) }))
                names.append(name)
            } catch let error where compareSchedulers && (error is SchedulerError || error is PipelineError) {
                // Of all schedulers, those that take these options.
                refusals.append((name, error))
            }
        }
        if plans.isEmpty, let reason = refusals.first?.reason { throw reason }
        if !quiet {
            for (name, reason) in refusals { StandardStreams.printError("\(name) is left out. \(Sentence.of(reason))") }
        }
        try start.fill(&plans, picture: picture)
        warn(plans, configuration)
        let pipeline = try StableDiffusionPipeline(
            configuration, threads: try threads.makePool(), savesMemory: memory.savesMemory,
            precision: numbers.precision, halfRounding: numbers.half.halfRounding, weights: numbers.weights,
            panelCache: try memory.panelCache(), limits: memory.limits)
        if !quiet { for notice in pipeline.modelNotices { StandardStreams.printError("\(notice)") } }
        let (sheet, entries, record) = try SchedulerComparison(names: names).run(pipeline, plans: plans) { entry in
            guard !quiet else { return }
            StandardStreams.printError(
                String(format: "%@: %.2f s, %d U-Net evaluations", entry.scheduler, entry.seconds, entry.unetEvaluations))
            warn(ofFlagged: entry.flagged)
        }
        let bytes = try PNGFile.encode(sheet, text: try text(record))
        if let file = files?.first {
            try Interruption.whileWriting { try AtomicFile.write(bytes, to: file) }
        } else {
            try StandardStreams.writeOutput(bytes)
        }
        if json { try StandardStreams.printJSON(entries) }
    }

    /// Where the pictures go; nil for standard output. Decided and tried before the work, so that a bad name costs nothing.
    private func outputFiles() throws -> [URL]? {
        let pattern = output == "-" ? nil : try OutputPattern(output)
        let files = pattern.map { pattern in pattern.paths(of: pictures(after: 0)).map { URL(fileURLWithPath: $0) } }
        let all =
            (files ?? [])
            + [saveLatents, profile, live.preview, previews.strip].compactMap { $0.map { URL(fileURLWithPath: $0) } }
        try AtomicFile.check(all)
        try previews.folder?.check()
        let paths = all.map { $0.resolvingSymlinksInPath().path }
        if let name = paths.firstDuplicate, name != "/dev/null" {
            throw CommandFailure(
                "Two outputs have the name \(name): give the pictures, --save-latents, --profile, --preview and --strip different files."
            )
        }
        if let name = paths.first(where: { previews.isStep($0) }) {
            throw CommandFailure("\(name) has the name of a picture that --save-steps writes: give it another.")
        }
        return files
    }

    /// Says what of the request and of the model's files has no effect, or not the one that was meant.
    func warn(_ plans: [GenerationPlan], _ configuration: PipelineConfiguration) {
        guard !quiet else { return }
        configuration.scheduler.reportUnknownKeys()
        var told: [GenerationNotice] = []
        for notice in plans.flatMap(\.notices) where !told.contains(notice) {
            StandardStreams.printError("\(notice)")
            told.append(notice)
        }
    }

    func warn(ofFlagged flagged: [Bool]?) {
        if !quiet, let sentence = GenerationReport.sentence(flagged: flagged) { StandardStreams.printError(sentence) }
    }

    /// Writes all files of the run, or none.
    private func write(_ contents: [OutputFile]) throws {
        let stale = previews.stale(beside: contents)
        try Interruption.whileWriting {
            try previews.folder?.make()
            try AtomicFile.write(contents, removing: stale)
        }
        if let first = stale.first, !quiet {
            let names = stale.count == 1 ? first.lastPathComponent : "\(first.lastPathComponent) and \(stale.count - 1) more"
            StandardStreams.printError(
                "Removed from \(first.deletingLastPathComponent().path), left there by a longer run: \(names).")
        }
    }

    private func report(_ result: GenerationResult, files: [String]) throws {
        if json {
            try StandardStreams.printJSON(GenerationReport(result, files: files))
        } else if !quiet {
            StandardStreams.printError(GenerationReport.summary(result, files: files))
        }
    }
}
