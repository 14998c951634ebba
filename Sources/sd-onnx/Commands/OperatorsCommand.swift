import ArgumentParser
import Ops

struct OperatorsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operators", abstract: "Lists the operators that models may have.",
        discussion: """
            Each line has a domain, ai.onnx for ONNX's own, an operator, and the opset versions from which its meanings hold. \
            docs/operators.md has the same with types, beside the standard's list.

            EXAMPLE:
              sd-onnx operators --domain ai.onnx.ml
            """)

    @Option(parsing: .unconditional, help: "Only those of a domain.")
    var domain: String?

    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Answer: Encodable {
        struct Entry: Encodable {
            let domain: String
            let name: String
            let versions: [Int]
        }

        let newestOpsets: [String: Int]
        let operators: [Entry]
    }

    func run() throws {
        let entries = StandardOperators.library.registry.listing.map { entry in
            Answer.Entry(
                domain: entry.domain.isEmpty ? "ai.onnx" : entry.domain, name: entry.type,
                versions: Array(Set(entry.sinceVersions)).sorted())
        }.filter { domain == nil || $0.domain == domain }
        if let domain, entries.isEmpty { throw CommandFailure("There are no operators of the domain \(domain).") }
        if json {
            return try StandardStreams.printJSON(
                Answer(newestOpsets: ["ai.onnx": StandardOperators.newestOpset], operators: entries))
        }
        for entry in entries {
            let versions = entry.versions.map(String.init).joined(separator: ", ")
            try StandardStreams.printOutput("\(entry.domain) \(entry.name) \(versions)")
        }
    }
}
