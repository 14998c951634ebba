import ArgumentParser
import Foundation
import ONNXLoader
import SDPipeline

struct BatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch", abstract: "Makes the pictures of a file of jobs, over several machines, each once.",
        usage: """
            sd-onnx batch <JOBS.jsonl> --out <DIR> [--shard <I/N>] [--quiet] [<options of generate> ...]
            sd-onnx batch status <DIR>
            sd-onnx batch verify <DIR>
            """,
        discussion: """
            Each line of the file is a job: a prompt, or a JSON object of the options of "generate" by their long names. Options after \
            the file hold for all jobs. Equal jobs are made once; a job without a seed gets one that follows from its other options. \
            Started again, the command makes what isn't in DIR yet: also after it was killed, with more lines, or in another number of \
            shards. A job that fails is recorded, and the next one made; the exit code is 1 then.

            "batch status" says how much is done, "batch verify" reads all pictures again and compares them with what was recorded.

            EXAMPLES:
              sd-onnx batch jobs.jsonl --out pictures --model stable-diffusion-onnx --steps 25
              sd-onnx batch jobs.jsonl --out pictures --shard 2/8
              parallel sd-onnx batch jobs.jsonl --out pictures --threads 4 --shard {}/8 ::: $(seq 8)
              sd-onnx batch status pictures
            """)

    @Argument(
        help: ArgumentHelp("The file of jobs; - is standard input.", valueName: "JOBS.jsonl"), transform: OptionValues.path)
    var jobs: String

    @Option(
        name: [.customShort("o"), .long, .customLong("output")], parsing: .unconditional,
        help: ArgumentHelp("The folder of the pictures, and of the record of what is done.", valueName: "DIR"),
        transform: OptionValues.path)
    var out: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Make the I-th of N parts, from 1 to N, which processes make side by side.", valueName: "I/N"),
        transform: BatchShard.init)
    var shard = BatchShard.whole

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    @Argument(parsing: .allUnrecognized, help: ArgumentHelp("Options of generate, for all jobs.", valueName: "options"))
    var options: [String] = []

    func validate() throws {
        if jobs.hasPrefix("-"), jobs != "-" {
            throw ValidationError("There is no file of jobs: it comes before options of generate.")
        }
        if out.isEmpty || out == "-" {
            throw ValidationError("--out is \(out.isEmpty ? "empty" : "-"), expected a folder's name.")
        }
        if let first = options.first, !first.hasPrefix("-") {
            throw ValidationError("Unexpected argument '\(first)': the file of jobs comes before options of generate.")
        }
        // Where they can't be read without a job's own, lines say what is wrong.
        let common = try? GenerateCommand.$isLine.withValue(true) { try GenerateCommand.parse(["--prompt=a"] + options) }
        if let name = common?.optionThatIsNoJobs {
            throw ValidationError("\(name) is for what a batch doesn't make: leave it out.")
        }
    }

    func run() throws {
        let all = try BatchJob.all(of: PromptLines.read(jobs), options: options)
        let folder = BatchFolder(out)
        let own = shard.part(of: all)
        // Wrong options, and a model that isn't there, are found before any work, and before the folder is touched.
        _ = try models(for: pending(own, folder).jobs)
        let plan = BatchPlan(title: PromptLines.title(jobs), options: options, jobs: all)
        let manifest = try folder.begin(plan, shard: shard) {
            if !quiet { StandardStreams.printError("Another process works on shard \(shard) of \(out): waiting for its end.") }
        }
        // Other processes may have made some of them meanwhile.
        let pending = try pending(own, folder)
        if !quiet, pending.jobs.count < own.count {
            StandardStreams.printError("\(own.count - pending.jobs.count) of \(own.count) jobs are done already.")
        }
        if !quiet, pending.lost > 0 {
            StandardStreams.printError(
                "\(pending.lost) of \(own.count) jobs are made again: their pictures are gone or cut off.")
        }
        try make(pending, models: models(for: pending.jobs), folder, manifest)
    }

    /// What is to be made.
    private struct Pending {
        var jobs: [BatchJob] = []
        /// Of those that had been made before, how often.
        var times: [String: Int] = [:]
        /// Jobs whose pictures are gone, or cut off.
        var lost = 0
    }

    private func pending(_ jobs: [BatchJob], _ folder: BatchFolder) throws -> Pending {
        let done = try folder.entries().latest
        var result = Pending()
        for job in jobs {
            if let entry = done[job.id], entry.state == .done {
                let hasChanged = try !entry.inputs.isEmpty && entry.inputs != inputs(of: job)
                let isLost = !hasChanged && !entry.pictures.allSatisfy(folder.holds)
                guard hasChanged || isLost else { continue }
                result.times[job.id] = (entry.remade ?? 0) + 1
                result.lost += isLost ? 1 : 0
            }
            result.jobs.append(job)
        }
        return result
    }

    /// The models of jobs, whose options are right.
    private func models(for jobs: [BatchJob]) throws -> GenerateModels {
        var prompts: [String] = []
        for job in jobs {
            let command = try self.command(job)
            if command.prompting.syntax.promptSyntax != .plain { prompts += command.promptsWithTags }
        }
        let models = GenerateModels([], prompts: prompts)
        // Where the model isn't there, all would fail.
        if let first = jobs.first { _ = try models.configuration(for: command(first)) }
        return models
    }

    private func make(_ pending: Pending, models: GenerateModels, _ folder: BatchFolder, _ manifest: BatchManifest) throws {
        let jobs = pending.jobs
        var failed = 0
        for (index, job) in jobs.enumerated() {
            if !quiet { StandardStreams.printError("Job \(index + 1) of \(jobs.count), line \(job.line):") }
            let start = ContinuousClock.now
            var entry = BatchEntry(job: job)
            entry.remade = pending.times[job.id]
            do {
                let command = try self.command(job)
                entry.inputs = try command.inputFiles()
                let names = folder.pictureNames(of: job, inputs: entry.inputs, count: command.batchCount)
                let files = names.map { folder.url.appendingPathComponent($0) }
                for file in files { try OutputFolder(file.deletingLastPathComponent().path).make() }
                try command.run(models, files: files)
                entry.pictures = try zip(names, files).map { try BatchEntry.Picture(file: $0, contentsOf: $1) }
            } catch let error as AtomicFile.WriteError {
                // The next job would find no place either.
                throw error
            } catch {
                failed += 1
                (entry.state, entry.error) = (.failed, Sentence.of(error))
                StandardStreams.printError("Line \(job.line): \(Sentence.of(error))")
            }
            entry.seconds = (ContinuousClock.now - start) / .seconds(1)
            try manifest.append(entry)
        }
        guard failed == 0 else {
            throw CommandFailure(
                "\(failed) of \(jobs.count) jobs failed; \"sd-onnx batch status \(out)\" lists them, and the same command tries them again."
            )
        }
    }

    /// The command that makes a job.
    ///
    /// - Throws: ``CommandFailure`` with the line where its options are wrong.
    private func command(_ job: BatchJob) throws -> GenerateCommand {
        func failure(_ reason: String) -> CommandFailure {
            CommandFailure("\(PromptLines.title(jobs)), line \(job.line): \(reason)")
        }
        if let flag = job.unsetFlags.first(where: options.contains) {
            throw failure("it switches \(flag) off, which the command line gives for all jobs.")
        }
        var command: GenerateCommand
        do {
            command = try GenerateCommand.$isLine.withValue(true) { try GenerateCommand.parse(job.arguments) }
        } catch {
            throw failure(GenerateCommand.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " "))
        }
        if let name = command.optionThatIsNoJobs {
            throw failure("\(name) is for what a batch doesn't make: leave it out.")
        }
        if command.threads.threads != nil || command.memory.isGiven {
            throw failure("--threads, --low-memory, --max-memory and --panel-cache are for all jobs: give them after the file.")
        }
        command.seed = command.seed ?? job.seed
        if command.seeding.variationStrength != nil {
            command.seeding.variationSeed = command.seeding.variationSeed ?? job.variationSeed
        }
        // What says how a machine works is no part of the jobs.
        (command.threads, command.memory) = (threads, memory)
        command.quiet = command.quiet || quiet
        return command
    }

    private func inputs(of job: BatchJob) throws -> [BatchEntry.Input] { try command(job).inputFiles() }
}

extension GenerateCommand {
    /// An option that was given and says where something goes, or makes something else than pictures of a job; nil for none.
    fileprivate var optionThatIsNoJobs: String? {
        let options = [
            ("A prompt for all jobs", promptArgument != nil), ("--output", output != "output.png"),
            ("--save-latents", saveLatents != nil), ("--save-steps or --strip", previews.isUsed), ("--preview", live.isUsed),
            ("--profile", profile != nil), ("--compare-schedulers", compareSchedulers),
            ("A list of schedulers", SchedulerComparison.names(scheduler) != nil), ("--grid", sheet.grid),
            ("--xy", !sheet.xy.isEmpty), ("--prompts", promptFile != nil), ("--from", replay.from != nil), ("--json", json),
        ]
        return options.first { $0.1 }?.0
    }

    /// The pictures and latents that it starts from, by what is in them.
    fileprivate func inputFiles() throws -> [BatchEntry.Input] {
        let paths = [start.initImg, start.masking.mask, start.initLatents].compactMap(\.self) + controlling.controlImage
        return try paths.map { path in
            do {
                let bytes = try BoundedFile.read(URL(fileURLWithPath: path), limit: BatchEntry.Input.largestSize)
                return BatchEntry.Input(path: path, sha256: SHA256.hexadecimal(of: bytes))
            } catch let error as BoundedFile.ReadError {
                throw CommandFailure("\(path) can't be read: \(error.reason).")
            }
        }
    }
}
