import ArgumentParser
import Foundation
import SDPipeline

/// Several pictures as one labelled sheet.
struct SheetOptions: ParsableArguments {
    @Flag(help: "Put the pictures of the batch on one sheet, labelled with their seeds, in the place of a file for each.")
    var grid = false

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "One sheet of pictures for each value of one or two options, by their long names; with one, side by side, with two, the first from left to right and the second from top to bottom. Values with commas are in quotation marks.",
            valueName: "NAME=VALUE,…"), transform: SheetAxis.init)
    var xy: [SheetAxis] = []

    /// What makes sheets doesn't go with what makes files of single pictures.
    func check(_ others: [(name: String, isGiven: Bool)]) throws {
        guard grid || !xy.isEmpty else { return }
        let name = grid ? "--grid" : "--xy"
        if grid, !xy.isEmpty { throw ValidationError("--grid and --xy both make a sheet: give one.") }
        if let other = others.first(where: \.isGiven) {
            throw ValidationError("\(name) makes one sheet, which doesn't go with \(other.name): leave one out.")
        }
        guard xy.count <= 2 else {
            throw ValidationError("--xy takes one or two options with their values, found \(xy.count).")
        }
        if xy.count == 2, xy[0].name == xy[1].name {
            throw ValidationError("--xy has \"\(xy[0].name)\" twice, expected two options.")
        }
        let count = xy.map(\.values.count).reduce(1, *)
        guard count <= Self.mostCells else {
            throw ValidationError("--xy asks for \(count) pictures, expected \(Self.mostCells) at most.")
        }
    }

    private static let mostCells = 1000
}

/// An option with the values that it has from one end of a sheet to the other.
struct SheetAxis: Equatable {
    /// The option's long name, without hyphens before it.
    let name: String
    let values: [String]

    /// Options of the whole run, or of its files.
    private static let others: Set<String> = [
        "prompts", "from", "help", "version", "json", "quiet", "output", "xy", "grid", "batch-count", "batch-size",
        "batch-seeds",
        "compare-schedulers", "best-of", "clip", "save-steps", "strip", "every", "preview", "preview-terminal", "preview-every",
        "preview-with",
        "profile", "save-latents", "strip-metadata", "num-images", "num-images-per-prompt", "output-path", "out",
    ]

    init(_ text: String) throws {
        let expectation = OptionValues.Expectation(
            description: "expected one or two options with values such as \"cfg-scale=3,5,7\"; a prompt comes before --xy.")
        guard let equals = text.firstIndex(of: "=") else { throw expectation }
        name = String(text[..<equals].drop { $0 == "-" }).replacing("_", with: "-")
        guard name.wholeMatch(of: /[A-Za-z][A-Za-z0-9-]*/) != nil else { throw expectation }
        guard !Self.others.contains(name) else {
            throw OptionValues.Expectation(description: "\"\(name)\" is no option of a single picture.")
        }
        guard let values = Self.values(text[text.index(after: equals)...]) else {
            throw OptionValues.Expectation(
                description: "expected values with commas between them, and those that have commas in quotation marks.")
        }
        self.values = values
        if OptionValues.flags.contains(name), !values.allSatisfy({ $0 == "true" || $0 == "false" }) {
            throw OptionValues.Expectation(description: "\(name) is on or off: expected true and false as values.")
        }
    }

    /// The arguments that give the option its value.
    func arguments(_ index: Int) -> [String] {
        let value = values[index]
        if OptionValues.flags.contains(name) { return value == "true" ? ["--\(name)"] : [] }
        return ["--\(name)=\(value)"]
    }

    /// Values with commas between them; quotation marks around a value are left out, and two of them in it are one.
    private static func values(_ text: Substring) -> [String]? {
        var result: [String] = []
        var value = ""
        var isQuoted = false
        var rest = text
        while let character = rest.popFirst() {
            switch character {
            case "\"" where isQuoted && rest.first == "\"":
                value.append("\"")
                rest.removeFirst()
            case "\"" where isQuoted: isQuoted = false
            case "\"" where value.allSatisfy { $0 == " " }: (isQuoted, value) = (true, "")
            case "," where !isQuoted:
                result.append(value.trimmingCharacters(in: .whitespaces))
                value = ""
            default: value.append(character)
            }
        }
        result.append(value.trimmingCharacters(in: .whitespaces))
        return isQuoted || result.contains("") ? nil : result
    }
}
