import ArgumentParser
import Foundation
import SDPipeline

struct SchedulersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedulers", abstract: "Lists the schedulers, and shows what one does.",
        discussion: """
            EXAMPLES:
              sd-onnx schedulers
              sd-onnx schedulers show "dpm++2m karras" --steps 20 --plot noise.svg
            """,
        subcommands: [SchedulersListCommand.self, SchedulersShowCommand.self],
        defaultSubcommand: SchedulersListCommand.self, aliases: ["scheduler", "samplers"])
}

struct SchedulersListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists names, orders and papers of all schedulers.")

    @Flag(help: "Print a JSON array, with aliases and default options.")
    var json = false

    private struct Entry: Encodable {
        let name: String
        let className: String
        let aliases: [String]
        let order: Int
        let evaluationsPerStep: Int
        let isStochastic: Bool
        let takesTimesteps: Bool
        let takesSigmas: Bool
        let stepOptions: [String]
        /// Keys stay as diffusers writes them, so they are values here.
        let defaults: [Setting]
        let paper: String
    }

    private struct Setting: Encodable {
        let key: String
        let value: SchedulerValue
        let expected: String
    }

    func run() throws {
        let descriptors = SchedulerRegistry.standard.descriptors
        guard !json else {
            return try StandardStreams.printJSON(
                descriptors.map { descriptor in
                    Entry(
                        name: descriptor.shortName, className: descriptor.className, aliases: descriptor.aliases.map(\.name),
                        order: descriptor.order, evaluationsPerStep: descriptor.evaluationsPerStep,
                        isStochastic: descriptor.isStochastic, takesTimesteps: descriptor.takesTimesteps,
                        takesSigmas: descriptor.takesSigmas, stepOptions: descriptor.stepOptions,
                        defaults: descriptor.parameters.map {
                            Setting(key: $0.key, value: $0.defaultValue, expected: $0.expectation)
                        }, paper: descriptor.paper)
                })
        }
        let rows = descriptors.map { descriptor in
            [
                descriptor.shortName, descriptor.className, "\(descriptor.order)", "\(descriptor.evaluationsPerStep)",
                descriptor.isStochastic ? "yes" : "no",
            ]
        }
        var table = TerminalTable([
            .init(title: "name", isText: true, importance: 5), .init(title: "class", isText: true, importance: 4),
            .init(title: "order", importance: 3), .init(title: "evaluations", importance: 2),
            .init(title: "stochastic", isText: true),
        ])
        for row in rows { table.add(row) }
        let details = descriptors.flatMap { descriptor in
            let options = descriptor.parameters.filter { $0.defaultValue != .absent }.map { "\($0.key) \($0.defaultValue)" }
            let names = descriptor.aliases.map(\.name)
            return [
                "", Prose.wrapped("\(descriptor.shortName): \(descriptor.paper)"),
                names.isEmpty ? nil : Prose.wrapped("  also called: \(names.joined(separator: ", "))"),
                Prose.wrapped("  options: \(options.joined(separator: ", "))"),
            ].compactMap { $0 }
        }
        try StandardStreams.printOutput(([table.text] + details).joined(separator: "\n"))
    }
}

struct SchedulersShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Prints a scheduler's settings, timesteps and noise levels.",
        discussion: """
            The settings are those of the model with the scheduler put in the place of its own, as for a picture.

            EXAMPLE:
              sd-onnx schedulers show euler --sigmas karras --steps 10 --json
            """)

    @Argument(help: "A scheduler's name, class or alias.")
    var name: String

    @OptionGroup var model: ModelOptions

    @Option(parsing: .unconditional, help: "Steps. (default: 20)", transform: OptionValues.whole(1...Int.max))
    var steps = 20

    @OptionGroup var scheduler: SchedulerOptions

    @Option(
        parsing: .unconditional,
        help: "The share of the steps that a run over a given picture takes, 0 to 1: the last ones. (default: 1)",
        transform: OptionValues.share)
    var strength = 1.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Draw the noise levels as a picture.", valueName: "FILE.svg|png"), transform: OptionValues.path)
    var plot: String?

    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Answer: Encodable {
        let name: String
        let className: String
        let paper: String
        let settings: [Setting]
        let initNoiseSigma: Float
        let timesteps: [Float]
        let sigmas: [Float]
        let levels: [Level]
    }

    private struct Setting: Encodable {
        let key: String
        let value: SchedulerValue
    }

    private struct Level: Encodable {
        let timestep: Float
        let alpha: Float
        let sigma: Float
        /// Left out without noise.
        let snr: Double?
    }

    func validate() throws {
        try SchedulerOptions.check(name: name)
        if let plot, !plot.lowercased().hasSuffix(".svg"), !plot.lowercased().hasSuffix(".png") {
            throw ValidationError("--plot is \"\(plot)\", expected a name that ends with .svg or .png.")
        }
    }

    func run() throws {
        if let plot { try AtomicFile.check(URL(fileURLWithPath: plot)) }
        let folder = try model.folder()
        let configuration = try folder.schedulerSettings()
        let made = try SchedulerRegistry.standard.make(
            name, configuration: configuration, request: scheduler.request(steps: steps),
            overrides: scheduler.overrides)
        try scheduler.stepOptions.check(for: descriptor(made))
        configuration.reportUnknownKeys()
        let evaluations = taken(by: made)
        if let plot {
            let drawing = NoisePlot(
                levels: evaluations.map { made.noiseLevels[$0] }, timesteps: evaluations.map { made.timesteps[$0] },
                title: "\(try title(made)), \(evaluations.count) evaluations")
            let url = URL(fileURLWithPath: plot)
            let bytes = plot.lowercased().hasSuffix(".svg") ? Array(drawing.svg.utf8) : try drawing.png()
            try Interruption.whileWriting { try AtomicFile.write(bytes, to: url) }
        }
        json ? try printJSON(made, evaluations) : try printTable(made, evaluations)
    }

    /// The evaluations that a run takes.
    private func taken(by made: any Scheduler) -> Range<Int> {
        made.firstIndex(strength: strength, steps: scheduler.timesteps?.count ?? steps)..<made.timesteps.count
    }

    private func printJSON(_ made: any Scheduler, _ evaluations: Range<Int>) throws {
        let levels = evaluations.map { index in
            let level = made.noiseLevels[index]
            return Level(
                timestep: made.timesteps[index], alpha: level.alpha, sigma: level.sigma,
                snr: level.signalToNoiseRatio.isFinite ? level.signalToNoiseRatio : nil)
        }
        try StandardStreams.printJSON(
            Answer(
                name: descriptor(made).shortName, className: made.name, paper: descriptor(made).paper,
                settings: made.settings.values.sorted { $0.key < $1.key }.map { Setting(key: $0.key, value: $0.value) },
                initNoiseSigma: made.initNoiseSigma, timesteps: Array(made.timesteps[evaluations]),
                sigmas: Array(made.sigmas.dropFirst(evaluations.lowerBound)), levels: levels))
    }

    private func printTable(_ made: any Scheduler, _ evaluations: Range<Int>) throws {
        let rows = evaluations.map { index in
            let (timestep, level) = (made.timesteps[index], made.noiseLevels[index])
            return [
                "\(index + 1)", String(format: "%g", timestep), String(format: "%.6g", level.sigma / level.alpha),
                String(format: "%.6g", level.alpha), String(format: "%.6g", level.sigma),
                String(format: "%.6g", level.signalToNoiseRatio),
            ]
        }
        let settings = made.settings.values.filter { $0.value != .absent }.sorted { $0.key < $1.key }
        let lines =
            [Prose.wrapped("\(try title(made)): \(descriptor(made).paper)")]
            + settings.map { Prose.wrapped("  \($0.key) \($0.value)") }
        let titles = ["evaluation", "timestep", "sigma/alpha", "alpha", "sigma", "SNR"]
        var table = TerminalTable(titles.enumerated().map { .init(title: $1, importance: titles.count - $0) })
        for row in rows { table.add(row) }
        try StandardStreams.printOutput(
            (lines + ["", table.text]).joined(separator: "\n"))
    }

    /// The class, and what the name and the options make of it.
    private func title(_ made: any Scheduler) throws -> String {
        let match = SchedulerRegistry.isAutomatic(name) ? nil : try SchedulerRegistry.standard.find(name)
        let stated = (match?.overrides ?? [:]).merging(scheduler.overrides) { $1 }
        let settings = stated.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        let sigmas = match?.schedule.map { ["sigmas \($0.rawValue)"] } ?? []
        return ([made.name] + settings + sigmas).joined(separator: ", ")
    }

    private func descriptor(_ made: any Scheduler) -> SchedulerDescriptor { type(of: made).descriptor }
}
