import ArgumentParser
import Foundation
import SDPipeline

struct SimilarityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "similarity", abstract: "Says how well texts fit pictures, by a CLIP model.",
        discussion: """
            For each picture and text the cosine of CLIP's vectors, and in percent how much each text fits the picture among all of them.

            EXAMPLES:
              sd-onnx similarity fox.png --text "a fox" --text "an owl" --model clip-vit-base-patch32
              sd-onnx similarity *.png --text "a red apple" --model clip --rank
            """)

    @Argument(help: ArgumentHelp("The pictures, PNG or JPEG.", valueName: "image"), transform: OptionValues.path)
    var images: [String]

    @Option(
        name: .long, parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A text; may be given several times.", valueName: "TEXT"))
    var text: [String]

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: ArgumentHelp("The CLIP model's folder, as optimum, transformers.js or open_clip export it.", valueName: "DIR"),
        transform: OptionValues.path)
    var model: String

    @Option(
        parsing: .unconditional,
        help:
            "What cosines are multiplied by before they become percent. (default: the model's, or 100 where its files don't say it)",
        transform: OptionValues.number)
    var logitScale: Double?

    @Flag(help: "List the pictures that fit best first, for each text.")
    var rank = false

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: LimitOptions

    @OptionGroup var limit: PixelLimitOptions

    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Answer: Encodable {
        struct Picture: Encodable {
            let file: String
            /// For each text.
            let cosines: [Double]
            let shares: [Double]
        }

        let texts: [String]
        let logitScale: Double
        let pictures: [Picture]
        /// For each text the files, those that fit best first; nil where that wasn't asked for.
        let ranking: [[String]]?
    }

    func validate() throws {
        if let logitScale, logitScale <= 0 {
            throw ValidationError("--logit-scale is \(logitScale), expected a number above 0.")
        }
    }

    func run() throws {
        let clip = try CLIPModel(folder: URL(fileURLWithPath: model), threads: try threads.makePool(), limits: memory.limits)
        let sources = try images.map { try PictureSource(contentsOf: URL(fileURLWithPath: $0), pixelLimit: limit.maxPixels) }
        let texts = try text.map { try clip.embedding(of: $0) }
        let scale = logitScale ?? clip.logitScale ?? 100
        let pictures = try zip(images, sources).map { path, source in
            let vector = try clip.embedding(of: try source.decoded(alpha: .dropped))
            let cosines = texts.map { CLIPModel.cosine(vector, $0) }
            return Answer.Picture(file: path, cosines: cosines, shares: CLIPModel.shares(cosines, logitScale: scale))
        }
        if json {
            let ranking = text.indices.map { ranked(pictures, by: $0).map(\.file) }
            return try StandardStreams.printJSON(
                Answer(texts: text, logitScale: scale, pictures: pictures, ranking: rank ? ranking : nil))
        }
        let lines = rank ? rankingTable(pictures) : table(pictures)
        try StandardStreams.printOutput(lines.joined(separator: "\n"))
    }

    private func table(_ pictures: [Answer.Picture]) -> [String] {
        var table = TerminalTable(
            [
                .init(title: "picture", isText: true), .init(title: "text", isText: true), .init(title: "cosine"),
                .init(title: "share"),
            ])
        for picture in pictures {
            for (index, text) in text.enumerated() {
                table.add([
                    picture.file, text, String(format: "%.4f", picture.cosines[index]),
                    String(format: "%.1f %%", 100 * picture.shares[index]),
                ])
            }
        }
        return table.lines(width: StandardStreams.outputWidth, isColored: StandardStreams.isOutputColored)
    }

    private func ranked(_ pictures: [Answer.Picture], by text: Int) -> [Answer.Picture] {
        pictures.sorted { $0.cosines[text] > $1.cosines[text] }
    }

    private func rankingTable(_ pictures: [Answer.Picture]) -> [String] {
        var table = TerminalTable(
            [
                .init(title: "text", isText: true), .init(title: "rank"), .init(title: "cosine"),
                .init(title: "picture", isText: true),
            ])
        for (index, text) in text.enumerated() {
            for (place, picture) in ranked(pictures, by: index).enumerated() {
                table.add([text, "\(place + 1)", String(format: "%.4f", picture.cosines[index]), picture.file])
            }
        }
        return table.lines(width: StandardStreams.outputWidth, isColored: StandardStreams.isOutputColored)
    }
}
