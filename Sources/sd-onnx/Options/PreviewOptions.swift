import ArgumentParser
import Foundation
import SDPipeline

/// Pictures of the way from noise to the result.
struct PreviewOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the picture on the way as step-000.png, … into this folder.", valueName: "DIR"),
        transform: OptionValues.path)
    var saveSteps: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the pictures on the way side by side.", valueName: "FILE.png"), transform: OptionValues.path)
    var strip: String?

    @Option(
        parsing: .unconditional, help: "With --save-steps or --strip, every so many evaluations of the U-Net. (default: 1)",
        transform: OptionValues.whole(1...Int.max))
    var every: Int?

    func validate() throws {
        for (name, path) in [("--save-steps", saveSteps), ("--strip", strip)] where path == "" || path == "-" {
            throw ValidationError("\(name) is \(path == "-" ? "-" : "empty"), expected a name.")
        }
        try OutputFormat.png.check(strip, option: "--strip")
        if every != nil, !isUsed { throw ValidationError("--every needs --save-steps or --strip.") }
    }

    var isUsed: Bool { saveSteps != nil || strip != nil }
    var interval: Int? { isUsed ? every ?? 1 : nil }

    /// The folder of the steps.
    var folder: OutputFolder? { saveSteps.map(OutputFolder.init) }

    /// Whether a path is one that a picture of ``saveSteps`` may have.
    func isStep(_ path: String) -> Bool {
        guard let folder else { return false }
        let file = URL(fileURLWithPath: path)
        return file.deletingLastPathComponent().path == folder.url.resolvingSymlinksInPath().path
            && Self.isStepName(file.lastPathComponent)
    }

    /// What was asked for; the first picture of a batch stands for all.
    ///
    /// - Parameter saysHow: whether the files say how they were made.
    func files(_ result: GenerationResult, saysHow: Bool) throws -> [OutputFile] {
        guard isUsed else { return [] }
        let pictures = result.previews.compactMap { preview in preview.images.first.map { (preview.evaluations, $0) } }
        var files: [OutputFile] = []
        if let folder {
            files += try pictures.map { number, image in
                var record = saysHow ? result.records.first : nil
                record?.evaluations = number
                let text = try record?.pngText ?? []
                return (try PNGFile.encode(image, text: text), folder.url.appendingPathComponent(Self.stepName(number)))
            }
        }
        if let strip {
            let cells = pictures.map { ContactSheet.Cell(image: $0.1, lines: ["\($0.0)"]) }
            let sheet = try ContactSheet(cells: cells, columns: max(cells.count, 1)).image()
            let text = try saysHow ? result.records.first?.pngText ?? [] : []
            files.append((try PNGFile.encode(sheet, text: text), URL(fileURLWithPath: strip)))
        }
        return files
    }

    /// Pictures in the steps' folder that an earlier run left and this one doesn't replace: among those of `files` they would look
    /// like steps of this run.
    func stale(beside files: [OutputFile]) -> [URL] {
        guard let folder, let names = try? FileManager.default.contentsOfDirectory(atPath: folder.url.path) else { return [] }
        let written = Set(files.map(\.url.path))
        return names.filter(Self.isStepName).sorted().map(folder.url.appendingPathComponent).filter {
            !written.contains($0.path)
        }
    }

    private static func stepName(_ number: Int) -> String { String(format: "step-%03d.png", number) }

    private static func isStepName(_ name: String) -> Bool {
        guard name.hasPrefix("step-"), name.hasSuffix(".png") else { return false }
        let digits = name.dropFirst("step-".count).dropLast(".png".count)
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits) else { return false }
        return stepName(number) == name
    }
}
