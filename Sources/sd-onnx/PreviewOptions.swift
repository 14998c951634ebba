import ArgumentParser
import Foundation
import SDPipeline

/// Pictures of the way from noise to the result.
struct PreviewOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the picture on the way as step-000.png, … into this folder.", valueName: "DIR"))
    var saveSteps: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write the pictures on the way side by side.", valueName: "FILE.png"))
    var strip: String?

    @Option(
        parsing: .unconditional, help: "Every so many evaluations of the U-Net. (default: 1)",
        transform: OptionValues.whole(1...Int.max))
    var every: Int?

    func validate() throws {
        if every != nil, !isUsed { throw ValidationError("--every needs --save-steps or --strip.") }
    }

    var isUsed: Bool { saveSteps != nil || strip != nil }
    var interval: Int? { isUsed ? every ?? 1 : nil }

    /// Writes what was asked for; the first picture of a batch stands for all.
    func write(_ result: GenerationResult) throws {
        guard isUsed else { return }
        let pictures = result.previews.compactMap { preview in preview.images.first.map { (preview.evaluations, $0) } }
        var files: [(bytes: [UInt8], url: URL)] = []
        if let saveSteps {
            let folder = URL(fileURLWithPath: saveSteps)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            files += try pictures.map { number, image in
                (try PNGFile.encode(image), folder.appendingPathComponent(String(format: "step-%03d.png", number)))
            }
        }
        if let strip {
            let cells = pictures.map { ContactSheet.Cell(image: $0.1, lines: ["\($0.0)"]) }
            let sheet = try ContactSheet(cells: cells, columns: max(cells.count, 1)).image()
            files.append((try PNGFile.encode(sheet), URL(fileURLWithPath: strip)))
        }
        try Interruption.whileWriting { try AtomicFile.write(files) }
    }
}
