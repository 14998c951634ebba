import ArgumentParser
import Foundation
import SDPipeline

/// Several prompts, from the lines of a file.
extension GenerateCommand {
    /// Each line is the command with its own options over those that all have.
    ///
    /// - Parameter arguments: those that this command was made of.
    func runLines(of promptFile: String, arguments: [String]) throws {
        let lines = try PromptLines.read(promptFile)
        func failure(_ line: PromptLines.Line, _ reason: String) -> CommandFailure {
            CommandFailure("\(PromptLines.title(promptFile)), line \(line.number): \(reason)")
        }
        let commands = try Self.$isLine.withValue(true) {
            try lines.map { line in
                if let flag = line.unsetFlags.first(where: Self.ownArguments.contains) {
                    throw failure(line, "it switches \(flag) off, which the command line gives for all lines.")
                }
                do {
                    var command = try Self.parse(arguments + line.arguments)
                    command.seed = command.seed ?? .drawn()
                    return command
                } catch {
                    throw failure(line, Self.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " "))
                }
            }
        }
        let names = try Self.outputFiles(commands)
        let ownPath = URL(fileURLWithPath: promptFile).resolvingSymlinksInPath().path
        if promptFile != "-", names.joined().contains(where: { $0.resolvingSymlinksInPath().path == ownPath }) {
            throw CommandFailure(
                "A picture would replace \(promptFile), which the prompts are read from: give -o another name.")
        }
        let models = GenerateModels(commands)
        for (command, line) in zip(commands, lines) {
            do {
                _ = try command.plans(try models.configuration(for: command), profile: nil)
            } catch {
                throw failure(line, "\(error)")
            }
        }
        for (command, files) in zip(commands, names) { try command.run(models, files: files) }
    }

    /// What doesn't go with several prompts.
    func checkPromptFile() throws {
        guard let promptFile else { return }
        let others = [
            ("--save-latents", saveLatents != nil), ("--save-steps and --strip", previews.isUsed), ("--preview", live.isUsed),
            ("--profile", profile != nil), ("--compare-schedulers", compareSchedulers),
            ("A list of schedulers", comparedSchedulers != nil), ("-o -", output == "-"),
        ]
        if let (name, _) = others.first(where: { $0.1 }) {
            throw ValidationError("\(name) is for one prompt, and --prompts gives several: leave one out.")
        }
        if promptFile.isEmpty { throw ValidationError("--prompts is empty, expected a file's name or -.") }
    }

    /// The files of several commands' pictures, which are numbered one after another.
    private static func outputFiles(_ commands: [GenerateCommand]) throws -> [[URL]] {
        var number = 0
        // Names are told apart among the pictures of one pattern.
        var places: [String: [(command: Int, picture: OutputPattern.Picture)]] = [:]
        for (index, command) in commands.enumerated() {
            for picture in command.pictures(after: number) { places[command.output, default: []].append((index, picture)) }
            number += command.batchCount
        }
        var files = [[URL]](repeating: [], count: commands.count)
        for (output, list) in places {
            let paths = try OutputPattern(output).paths(of: list.map(\.picture))
            for (path, place) in zip(paths, list) { files[place.command].append(URL(fileURLWithPath: path)) }
        }
        let paths = files.joined().map { $0.resolvingSymlinksInPath().path }
        if let name = paths.firstDuplicate, name != "/dev/null" {
            throw CommandFailure("Two pictures would have the name \(name): %n, %s and %p in -o tell them apart.")
        }
        for url in files.joined() { try AtomicFile.check([url]) }
        return files
    }
}
