import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

@main
enum Program {
    static func main() {
        Interruption.install()
        StandardStreams.prepare()
        // Without it a model's file that becomes shorter ends the program; nothing else depends on it.
        try? MappedFileGuard.install()
        let arguments = CommandWords.joining(Self.splittingEmptyValues(Array(CommandLine.arguments.dropFirst())))
        var command: any ParsableCommand
        do { command = try SDOnnxCommand.parseAsRoot(arguments) } catch { end(with: error, arguments) }
        do {
            try command.run()
        } catch let error as ExitCode {
            // The command has said what there is to say.
            SDOnnxCommand.exit(withError: error)
        } catch let error where SDOnnxCommand.exitCode(for: error) != .failure {
            end(with: error, arguments)
        } catch {
            StandardStreams.printError("Error: " + Sentence.of(error))
            SDOnnxCommand.exit(withError: ExitCode.failure)
        }
    }

    /// `--option=` as the option and an empty value: the parser would take the next argument for its value.
    private static func splittingEmptyValues(_ arguments: [String]) -> [String] {
        let options = arguments.prefix { $0 != "--" }
        return options.flatMap { argument in
            argument.hasPrefix("--") && argument.firstIndex(of: "=") == argument.indices.last
                ? [String(argument.dropLast()), ""] : [argument]
        } + arguments.dropFirst(options.count)
    }

    /// Ends the program with a request for help, or wrong options.
    private static func end(with error: any Error, _ arguments: [String]) -> Never {
        guard SDOnnxCommand.exitCode(for: error) == .validationFailure else { SDOnnxCommand.exit(withError: error) }
        StandardStreams.printError(Suggestions.improving(SDOnnxCommand.fullMessage(for: error), arguments: arguments))
        SDOnnxCommand.exit(withError: ExitCode.validationFailure)
    }
}

struct SDOnnxCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sd-onnx",
        abstract: "Runs Stable Diffusion from ONNX models on the CPU.",
        discussion: """
            EXAMPLE:
              sd-onnx generate "a red apple on a blue background" -o apple.png

            Results go to standard output, progress and messages to standard error. Exit codes: 0 success; 1 the work failed \
            (a missing or malformed file, a request that the model can't meet); 64 wrong options; 130 interrupted.
            """,
        version: VersionText.text,
        subcommands: [
            GenerateCommand.self, RunCommand.self, BenchCommand.self, TokenizeCommand.self, SchedulersCommand.self,
            NoiseCommand.self, InspectCommand.self, CompareCommand.self, VerifyCommand.self, MetadataCommand.self,
            SimilarityCommand.self, UpscaleCommand.self, InterpolateCommand.self, OperatorsCommand.self,
            BenchCompareCommand.self, BatchCommand.self,
            BatchStatusCommand.self,
            BatchVerifyCommand.self, ServeCommand.self,
        ])
}

/// Commands whose names are two words, of which the first is a command of its own.
enum CommandWords {
    private static let names = [BenchCompareCommand.name, BatchStatusCommand.name, BatchVerifyCommand.name]

    /// Arguments in which such a name is one word.
    static func joining(_ arguments: [String]) -> [String] {
        let help = arguments.prefix { $0 == "help" }
        guard help.count <= 1 else { return arguments }
        let rest = arguments.dropFirst(help.count)
        for name in names {
            let words = name.components(separatedBy: " ")
            if rest.starts(with: words) { return help + [name] + rest.dropFirst(words.count) }
        }
        return arguments
    }
}

/// Errors as lines for a person.
enum Sentence {
    /// What an error says on one line, with a capital at its start and a full stop at its end.
    static func of(_ error: any Error) -> String {
        // Foundation's errors describe themselves over several lines of domains and codes.
        let text = error is CocoaError || error is POSIXError ? error.localizedDescription : "\(error)"
        let shortened = text.shortened(to: 4 * String.longestMessage)
        let line = Printable.line(shortened.split(whereSeparator: \.isNewline).joined(separator: " "))
        // A command's own sentence may begin with a name that somebody gave.
        return error is CommandFailure && !line.isEmpty ? ended(line) : of(line)
    }

    /// A line with a capital at its start and a full stop at its end.
    static func of(_ line: String) -> String {
        guard let first = line.first else { return "The work failed." }
        // A path or a name is no word that a sentence could begin with.
        let word = line.prefix { $0 != " " }
        let isWord = word.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "'") }
        let start = isWord ? first.uppercased() : String(first)
        return ended(start + line.dropFirst())
    }

    private static func ended(_ line: String) -> String { line + (".!?".contains(line.last ?? " ") ? "" : ".") }
}

/// A file or a model that a command can't work with. `description` is one sentence.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
