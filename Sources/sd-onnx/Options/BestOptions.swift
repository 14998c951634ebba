import ArgumentParser
import Foundation
import SDPipeline

/// The best of several pictures, by how well the prompt fits them.
struct BestOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "Make so many pictures, and keep the one that fits the prompt best by a CLIP model. Needs --clip.",
        transform: OptionValues.whole(2...4096))
    var bestOf: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("With --best-of, the CLIP model's folder, as \"sd-onnx similarity\" takes it.", valueName: "DIR"),
        transform: OptionValues.path)
    var clip: String?

    func validate() throws {
        if bestOf != nil, clip == nil { throw ValidationError("--best-of needs a CLIP model: --clip.") }
        if clip != nil, bestOf == nil { throw ValidationError("--clip has no effect without --best-of: give both.") }
    }

    /// Leaves the picture in a result that a text fits best.
    ///
    /// - Returns: a sentence for a person.
    static func keepBest(of result: inout GenerationResult, text: String, by model: CLIPModel) throws -> String {
        let vector = try model.embedding(of: text)
        let cosines = try result.images.map { CLIPModel.cosine(try model.embedding(of: $0), vector) }
        guard let best = cosines.indices.max(by: { cosines[$0] < cosines[$1] }), result.records.indices.contains(best) else {
            throw CommandFailure("No picture was made.")
        }
        result.images = [result.images[best]]
        result.records = [result.records[best]]
        result.seeds = [result.seeds[best]]
        result.flagged = result.flagged.map { [$0[best]] }
        let list = cosines.map { String(format: "%.4f", $0) }.joined(separator: ", ")
        return "Picture \(best + 1) of \(cosines.count) is kept (seed \(result.seeds[0])): cosines \(list)."
    }
}
