import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

/// The files that a profile is written to.
struct ProfileFiles: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write the figures as JSON; - prints them on standard output in the place of the table.", valueName: "FILE"),
        transform: OptionValues.path)
    var json: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the table as comma-separated values; - as for --json.", valueName: "FILE"),
        transform: OptionValues.path)
    var csv: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write every run of every node, by thread, for Perfetto or chrome://tracing.", valueName: "FILE"),
        transform: OptionValues.path)
    var trace: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Draw the time by the model's modules.", valueName: "FILE.svg"), transform: OptionValues.path)
    var flamegraph: String?

    func validate() throws {
        for (name, path) in [("--json", json), ("--csv", csv), ("--trace", trace), ("--flamegraph", flamegraph)] {
            if path == "" { throw ValidationError("\(name) is empty, expected a file's name.") }
        }
        for (name, path) in [("--trace", trace), ("--flamegraph", flamegraph)] where path == "-" {
            throw ValidationError("\(name) is -, expected a file: standard output is for the figures.")
        }
        try OutputFormat.json.check(json, option: "--json")
        try OutputFormat.csv.check(csv, option: "--csv")
        try OutputFormat.json.check(trace, option: "--trace")
        try OutputFormat.svg.check(flamegraph, option: "--flamegraph")
        if json == "-", csv == "-" {
            throw ValidationError("--json - and --csv - would both write to standard output: choose one.")
        }
        let paths = [json, csv, trace, flamegraph].compactMap { $0 }.filter { $0 != "-" }
        if let path = paths.map({ URL(fileURLWithPath: $0).standardizedFileURL.path }).firstDuplicate, path != "/dev/null" {
            throw ValidationError("Two options name \(path): give them different files.")
        }
    }

    /// Whether standard output is taken by figures for programs.
    var takesOutput: Bool { json == "-" || csv == "-" }

    /// Tries that the files can be written, before the work.
    func check() throws {
        let paths = [json, csv, trace, flamegraph].compactMap { $0 }.filter { $0 != "-" }
        try AtomicFile.check(paths.map { URL(fileURLWithPath: $0) })
    }

    /// Writes all files together, then what standard output gets.
    ///
    /// - Parameter table: what is printed where no figures for programs are.
    func write(
        _ report: BenchReport, _ profile: Profile, work: [ThreadPool.WorkSpan], title: String, table: @autoclosure () -> String
    ) throws {
        var files: [OutputFile] = []
        func add(_ path: String?, _ content: () throws -> [UInt8]) rethrows {
            guard let path, path != "-" else { return }
            files.append((try content(), URL(fileURLWithPath: path)))
        }
        try add(json) { try StandardStreams.json(report) }
        add(csv) { Array(BenchTable.csv(report).utf8) }
        add(trace) { Array(ChromeTrace.json(profile, work: work).utf8) }
        add(flamegraph) { Array(FlameGraph(profile, title: title).svg.utf8) }
        try Interruption.whileWriting { try AtomicFile.write(files) }
        if profile.droppedSpanCount > 0 {
            StandardStreams.printError("\(profile.droppedSpanCount) runs of nodes were too many to keep and are in no figure.")
        }
        if json == "-" {
            try StandardStreams.printJSON(report)
        } else if csv == "-" {
            try StandardStreams.writeReport(Array(BenchTable.csv(report).utf8))
        } else {
            try StandardStreams.printOutput(table())
        }
    }
}
