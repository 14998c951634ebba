import ArgumentParser
import Foundation
import ONNXLoader
import SDPipeline

struct BatchVerifyCommand: ParsableCommand {
    static let name = "batch verify"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Compares a batch's pictures with what was recorded when they were made.",
        usage: "sd-onnx batch verify <DIR> [--manifest <FILE>] [--json]",
        discussion:
            "The exit code is 1 where a job isn't done, was made twice, or a picture is missing or not as it was written.",
        shouldDisplay: false)

    @Argument(help: ArgumentHelp("The batch's folder.", valueName: "DIR"), transform: OptionValues.path)
    var folder: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write what is recorded of each job that is done into one file, in the order of the jobs.", valueName: "FILE.jsonl"),
        transform: OptionValues.path)
    var manifest: String?

    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Report: Encodable {
        let jobs: Int
        let pictures: Int
        /// What is wrong, a sentence each.
        let problems: [String]
        /// Files that belong to no job: of killed processes, of inputs that have changed since, or of others.
        let otherFiles: [String]
    }

    private static let mostProblems = 20

    func validate() throws {
        if manifest == "" || manifest == "-" {
            throw ValidationError("--manifest is \(manifest == "-" ? "-" : "empty"), expected a file's name.")
        }
    }

    func run() throws {
        let folder = BatchFolder(folder)
        let plan = try folder.plan()
        let entries = try folder.entries()
        let report = report(folder, plan, entries)
        if let manifest { try write(plan.jobs.compactMap { entries.latest[$0.id] }.filter { $0.state == .done }, to: manifest) }
        if json {
            try StandardStreams.printJSON(report)
        } else {
            var lines = report.problems.prefix(Self.mostProblems).map(\.self)
            if report.problems.count > Self.mostProblems {
                lines.append("And \(report.problems.count - Self.mostProblems) more; --json has all.")
            }
            if !report.otherFiles.isEmpty {
                lines.append("\(report.otherFiles.count) files belong to no job, such as \(report.otherFiles[0]).")
            }
            if report.problems.isEmpty {
                lines.append(
                    "All \(report.jobs) jobs are done once, and their \(report.pictures) pictures are as they were written.")
            }
            try StandardStreams.printOutput(lines.joined(separator: "\n"))
        }
        if !report.problems.isEmpty { throw ExitCode.failure }
    }

    private func report(_ folder: BatchFolder, _ plan: BatchPlan, _ entries: BatchEntries) -> Report {
        var problems = entries.damaged.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value) lines that can't be read." }
        var left = folder.pictureFiles()
        var pictures = 0
        var times: [String: Int] = [:]
        for entry in entries.all where entry.state == .done && entry.remade == nil {
            times[entry.job + entry.inputs.map(\.sha256).joined(), default: 0] += 1
        }
        for job in plan.jobs {
            guard let entry = entries.latest[job.id] else {
                problems.append("Line \(job.line) isn't done.")
                continue
            }
            guard entry.state == .done else {
                problems.append("Line \(job.line) failed: \(entry.error ?? "")")
                continue
            }
            let count = times[entry.job + entry.inputs.map(\.sha256).joined()] ?? 0
            if count > 1 { problems.append("Line \(job.line) was made \(count) times.") }
            for picture in entry.pictures {
                pictures += 1
                left.remove(picture.file)
                if let problem = Self.problem(picture, in: folder) { problems.append("Line \(job.line): \(problem)") }
            }
        }
        return Report(jobs: plan.jobs.count, pictures: pictures, problems: problems, otherFiles: left.sorted())
    }

    /// What is wrong with a picture's file; nil for nothing.
    private static func problem(_ picture: BatchEntry.Picture, in folder: BatchFolder) -> String? {
        // A manifest that somebody has changed mustn't lead out of the folder.
        guard picture.file.wholeMatch(of: /pictures\/[0-9a-f]{2}\/[0-9a-f-]+[0-9]*\.png/) != nil else {
            return "\"\(picture.file.shortened(to: 100))\" is no name of a picture."
        }
        do {
            let bytes = try BoundedFile.read(folder.url.appendingPathComponent(picture.file), limit: 1 << 32)
            guard SHA256.hexadecimal(of: bytes) == picture.sha256 else {
                return
                    "\(picture.file) isn't as it was written: it has \(bytes.count) bytes, expected \(picture.bytes) with the SHA-256 \(picture.sha256.prefix(12))…"
            }
            return nil
        } catch {
            return "\(picture.file) can't be read: \(error.reason)."
        }
    }

    private func write(_ entries: [BatchEntry], to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var bytes: [UInt8] = []
        for entry in entries { bytes += [UInt8](try encoder.encode(entry)) + [0x0A] }
        try Interruption.whileWriting { try AtomicFile.write(bytes, to: URL(fileURLWithPath: path)) }
    }
}
