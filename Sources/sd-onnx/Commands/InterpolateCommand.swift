import ArgumentParser
import Foundation
import SDPipeline

struct InterpolateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interpolate", abstract: "Makes the pictures between two prompts or seeds.",
        discussion: """
            The first prompt and seed are those of "generate", whose other options hold for all pictures; --to and --to-seed give those that \
            follow. Prompts are interpolated between the text encoders' states, seeds between their noise. With a number in its \
            name (%n), -o writes a file for each picture, otherwise one strip of all.

            EXAMPLES:
              sd-onnx interpolate "a fox" --to "an owl" --to "a penguin" --frames 6 -s 7 -o strip.png
              sd-onnx interpolate "a fox" -s 1 --to-seed 2 --frames 24 -o "frame-%03n.png"
            """)

    @OptionGroup var generate: GenerateCommand

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The prompt to go to; several in turn.", valueName: "PROMPT"))
    var to: [String] = []

    @Option(
        parsing: .unconditionalSingleValue, help: ArgumentHelp("The seed to go to; several in turn.", valueName: "SEED"),
        transform: OptionValues.seed)
    var toSeed: [Seed] = []

    @Option(
        parsing: .unconditional, help: "Pictures from one prompt or seed to the next, both included. (default: 8)",
        transform: OptionValues.whole(2...1000))
    var frames = 8

    func validate() throws {
        guard !to.isEmpty || !toSeed.isEmpty else {
            throw ValidationError("There is nothing to go to: give another prompt with --to, or another seed with --to-seed.")
        }
        guard to.isEmpty || toSeed.isEmpty || to.count == toSeed.count else {
            throw ValidationError(
                "--to is given \(to.count) times and --to-seed \(toSeed.count) times, expected as many of both.")
        }
        try generate.checkInterpolation()
    }

    func run() throws {
        let command = generate.withSeed()
        let parts = max(to.count, toSeed.count)
        let prompts = [command.promptText] + to
        let seeds = [(command.seed ?? .drawn()).value] + toSeed.map(\.value)
        // Where a part begins, the last one has ended.
        let places = (0..<parts).flatMap { part in
            (part == 0 ? 0..<frames : 1..<frames).map { (part: part, share: Double($0) / Double(frames - 1)) }
        }
        let requests = try places.map { place in
            var request = try command.request()
            request.promptBlend = nil
            request.prompt = prompts[to.isEmpty ? 0 : place.part]
            if !to.isEmpty {
                let next = prompts[place.part + 1]
                if place.share == 1 {
                    request.prompt = next
                } else if place.share > 0 {
                    request.promptBlend = PromptBlend(prompt: next, share: place.share)
                }
            }
            request.seed = seeds[toSeed.isEmpty ? 0 : place.part]
            if !toSeed.isEmpty {
                let next = seeds[place.part + 1]
                if place.share == 1 {
                    request.seed = next
                } else if place.share > 0 {
                    request.variation = SeedVariation(seed: next, strength: place.share)
                }
            }
            return request
        }
        try command.runInterpolation(requests)
    }
}

extension GenerateCommand {
    /// What doesn't go with pictures that are made one after another.
    func checkInterpolation() throws {
        let others = [
            ("--prompts", promptFile != nil), ("--from", replay.from != nil), ("--xy", !sheet.xy.isEmpty),
            ("--grid", sheet.grid),
            ("--batch-count", batchCount > 1), ("--save-latents", saveLatents != nil),
            ("--save-steps and --strip", previews.isUsed), ("--preview", live.isUsed), ("--profile", profile != nil),
            ("several schedulers", scheduler?.contains(",") == true || compareSchedulers),
            ("--variation-strength", seeding.variationStrength != nil), ("--blend-prompt", prompting.blendPrompt != nil),
            ("--init-latents", start.initLatents != nil), ("--best-of", best.bestOf != nil),
        ]
        if let (name, _) = others.first(where: { $0.1 }) {
            throw ValidationError("\(name) is an option of generate, and doesn't go with interpolate: leave it out.")
        }
    }

    /// The prompt, however it was given.
    var promptText: String { promptArgument ?? prompt ?? "" }

    /// The command with its seed drawn, where it isn't given.
    func withSeed() -> Self {
        var command = self
        command.seed = seed ?? .drawn()
        return command
    }

    /// Makes pictures one after another, as files or as a strip.
    func runInterpolation(_ requests: [GenerationRequest]) throws {
        let files = try interpolationFiles(requests)
        let models = GenerateModels([self], prompts: requests.map(\.prompt))
        let configuration = try models.configuration(for: self)
        let picture = try start.picture()
        var plans = try requests.map { try configuration.plan(for: $0, startingFrom: picture.map { ($0.width, $0.height) }) }
        try start.fill(&plans, picture: picture)
        warn(plans, configuration)
        let pipeline = try models.pipeline(for: self).pipeline
        var bar = ProgressBar(title: "Pictures", isSilent: quiet)
        var (images, records): ([RGBImage], [GenerationRecord]) = ([], [])
        for (index, plan) in plans.enumerated() {
            let result = try pipeline.generate(plan)
            images += result.images
            records += result.records
            bar.update(completed: index + 1, total: plans.count)
        }
        if let files {
            let contents = try zip(zip(images, records), files).map { made, file in
                (try PNGFile.encode(made.0, text: text(made.1)), file) as OutputFile
            }
            try Interruption.whileWriting { try AtomicFile.write(contents, removing: []) }
        } else {
            let cells = images.map { ContactSheet.Cell(image: $0, lines: []) }
            let file = output == "-" ? nil : URL(fileURLWithPath: try OutputPattern(output).path(number: 1))
            try write(sheet: ContactSheet(cells: cells, columns: cells.count).image(), record: records.first, to: file)
        }
        if json {
            try StandardStreams.printJSON(records)
        } else if !quiet {
            let place =
                files.map { "\($0[0].path) to \($0[$0.count - 1].path)" } ?? (output == "-" ? "standard output" : output)
            StandardStreams.printError("\(images.count) pictures: \(place)")
        }
    }

    /// A file for each picture where the name has a number; nil for a strip.
    private func interpolationFiles(_ requests: [GenerationRequest]) throws -> [URL]? {
        let pattern = try OutputPattern(output == "-" ? "output.png" : output)
        guard pattern.isNumbered || pattern.saysMore else {
            if output != "-" { try AtomicFile.check([URL(fileURLWithPath: pattern.path(number: 1))]) }
            return nil
        }
        let pictures = requests.enumerated().map { index, request in
            OutputPattern.Picture(number: index + 1, seed: request.seed, prompt: request.prompt)
        }
        let files = pattern.paths(of: pictures).map { URL(fileURLWithPath: $0) }
        try AtomicFile.check(files)
        return files
    }
}
