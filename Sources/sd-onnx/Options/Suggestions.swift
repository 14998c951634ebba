import ArgumentParser
import Foundation
import SDPipeline

/// What a person may have meant by a word that no command or option has.
enum Suggestions {
    /// Puts a suggestion that makes sense into a message about wrong arguments, in the place of the parser's own, which for short names
    /// is any other short name.
    ///
    /// - Parameters:
    ///   - message: what the parser says, its usage included.
    ///   - arguments: of the program.
    static func improving(_ message: String, arguments: [String]) -> String {
        // The parser names a command whose options are among those of another before it.
        var lines = message.replacing("sd-onnx generate interpolate", with: "sd-onnx interpolate").components(separatedBy: "\n")
        guard let first = lines.first else { return message }
        if first.contains("Unknown option '"), let option = quoted(first) {
            let plain = first.components(separatedBy: ". Did you mean ")[0]
            lines[0] = plain + (self.option(option, arguments).map { ". \($0)" } ?? "")
        } else if first.contains("nexpected argument"), let hint = command(arguments) {
            lines[0] = "\(first). \(hint)"
        }
        return lines.joined(separator: "\n")
    }

    /// The closest of some names: one that differs in case, hyphens and underscores alone, that has one typing error, or one for every
    /// four characters, or that begins so.
    static func closest(to wanted: String, among names: [String]) -> String? {
        func plain(_ name: String) -> [Character] { Array(name.lowercased().filter { $0 != "-" && $0 != "_" }) }
        let given = plain(wanted)
        guard given.count >= 3 else { return nil }
        let ranked = names.map { (name: $0, distance: editDistance(given, plain($0))) }.sorted { $0.distance < $1.distance }
        if let best = ranked.first, best.distance <= max(given.count / 4, 1) { return best.name }
        let longer = names.filter { plain($0).starts(with: given) }
        return longer.count == 1 ? longer[0] : nil
    }

    private static func quoted(_ line: String) -> String? {
        let parts = line.components(separatedBy: "'")
        return parts.count > 2 ? parts[1] : nil
    }

    private static func option(_ option: String, _ arguments: [String]) -> String? {
        let commands = SDOnnxCommand.configuration.subcommands
        guard let type = commands.first(where: { isNamed($0, arguments.first ?? "") }) else {
            if ["-p", "--prompt"].contains(option) { return hintForPrompt }
            return closest(to: option, among: ["--help", "--version"]).map { "Did you mean '\($0)'?" }
        }
        let nested = type.configuration.subcommands.first { isNamed($0, arguments.dropFirst().first ?? "") } ?? type
        return closest(to: option, among: options(of: nested)).map { "Did you mean '\($0)'?" }
    }

    /// Long options, from the command's help.
    private static func options(of type: any ParsableCommand.Type) -> [String] {
        type.helpMessage(columns: 1000).split(separator: "\n").filter { $0.hasPrefix("  -") }
            .flatMap { line in
                line.dropFirst(2).split(separator: "  ")[0].split(whereSeparator: { ", ".contains($0) })
                    .filter { $0.hasPrefix("--") }.map(String.init)
            }
    }

    private static let hintForPrompt = "Pictures are made by 'sd-onnx generate \"a fox\"'."

    private static func command(_ arguments: [String]) -> String? {
        guard let first = arguments.first, !first.hasPrefix("-") else { return nil }
        let commands = SDOnnxCommand.configuration.subcommands
        guard let type = commands.first(where: { isNamed($0, first) }) else {
            if first.contains(" ") { return hintForPrompt }
            let names = commands.filter { $0.configuration.shouldDisplay }.compactMap { $0.configuration.commandName }
            return closest(to: first, among: names).map { "Did you mean '\($0)'?" }
        }
        guard let second = arguments.dropFirst().first else { return nil }
        if type == BenchCommand.self {
            return closest(to: second, among: ["compare"]).map { "Did you mean 'bench \($0)'?" }
        }
        guard type == SchedulersCommand.self else { return nil }
        if (try? SchedulerRegistry.standard.find(second)) != nil { return "Did you mean 'schedulers show \(second)'?" }
        let nested = type.configuration.subcommands.compactMap { $0.configuration.commandName }
        return closest(to: second, among: nested).map { "Did you mean 'schedulers \($0)'?" }
    }

    private static func isNamed(_ type: any ParsableCommand.Type, _ name: String) -> Bool {
        type.configuration.commandName == name || type.configuration.aliases.contains(name)
    }

    /// Insertions, deletions, replacements and swaps of neighbours between two names (Damerau 1964, each place changed once).
    private static func editDistance(_ first: [Character], _ second: [Character]) -> Int {
        // A name is short; a text of megabytes is no typing error.
        let (first, second) = (Array(first.prefix(64)), Array(second.prefix(64)))
        var rows = [Array(0...second.count)]
        for (i, a) in first.enumerated() {
            var row = [i + 1]
            for (j, b) in second.enumerated() {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a == b ? 0 : 1))
                if i > 0, j > 0, a == second[j - 1], first[i - 1] == b { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[first.count][second.count]
    }
}
