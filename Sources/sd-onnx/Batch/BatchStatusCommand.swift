import ArgumentParser
import Foundation

struct BatchStatusCommand: ParsableCommand {
    static let name = "batch status"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Says how much of a batch is done.", usage: "sd-onnx batch status <DIR> [--json]",
        shouldDisplay: false)

    @Argument(help: ArgumentHelp("The batch's folder.", valueName: "DIR"), transform: OptionValues.path)
    var folder: String

    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Report: Encodable {
        struct Failure: Encodable {
            let line: Int
            let error: String
        }

        struct Shard: Encodable {
            let shard: String
            let done: Int
            let isRunning: Bool
        }

        let jobs: Int
        let done: Int
        let left: Int
        let pictures: Int
        /// Of the jobs that are done, of all shards together.
        let seconds: Double
        let failures: [Failure]
        let shards: [Shard]
    }

    private static let mostFailures = 20

    func run() throws {
        let report = try report()
        if json { return try StandardStreams.printJSON(report) }
        let pictures = "\(report.pictures) \(report.pictures == 1 ? "picture" : "pictures")"
        var lines = [
            "\(report.done) of \(report.jobs) jobs are done (\(pictures)), \(report.failures.count) failed, \(report.left) are left."
        ]
        if report.pictures > 0 {
            lines.append(String(format: "%.2f s a picture.", report.seconds / Double(report.pictures)))
        }
        let running = report.shards.filter(\.isRunning).map(\.shard)
        if !running.isEmpty { lines.append("At work: \(running.joined(separator: ", ")).") }
        lines += report.failures.prefix(Self.mostFailures).map { "Line \($0.line): \($0.error)" }
        if report.failures.count > Self.mostFailures {
            lines.append("And \(report.failures.count - Self.mostFailures) more; --json has all.")
        }
        try StandardStreams.printOutput(lines.joined(separator: "\n"))
    }

    private func report() throws -> Report {
        let folder = BatchFolder(folder)
        let plan = try folder.plan()
        let entries = try folder.entries()
        let known = plan.jobs.compactMap { entries.latest[$0.id] }
        let done = known.filter { $0.state == .done }
        let failed = known.filter { $0.state == .failed }
        let shards = try folder.manifests().map { name, file in
            Report.Shard(
                shard: name.replacing("-of-", with: "/"),
                done: try BatchManifest.read(file).entries.count { $0.state == .done },
                isRunning: try folder.isInUse(file))
        }
        return Report(
            jobs: plan.jobs.count, done: done.count, left: plan.jobs.count - done.count - failed.count,
            pictures: done.map(\.pictures.count).reduce(0, +), seconds: done.map(\.seconds).reduce(0, +),
            failures: failed.map { Report.Failure(line: $0.line, error: $0.error ?? "") }.sorted { $0.line < $1.line },
            shards: shards)
    }
}
