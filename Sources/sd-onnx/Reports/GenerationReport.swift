import Foundation
import SDPipeline

/// What `generate` says about the pictures that it made: as JSON what the first picture's PNG says of itself, with files, seeds and times.
struct GenerationReport: Encodable {
    private let record: GenerationRecord
    private let files: [String]
    private let seeds: [UInt64]
    private let seconds: GenerationResult.Timings

    private let flagged: [Bool]?

    private enum CodingKeys: String, CodingKey { case files, flagged, seeds, seconds }

    /// - Throws: ``CommandFailure`` for a result without a picture.
    init(_ result: GenerationResult, files: [String]) throws {
        guard let record = result.records.first else { throw CommandFailure("No picture was made.") }
        self.record = record
        self.files = files
        seeds = result.seeds
        seconds = result.timings
        flagged = result.flagged
    }

    func encode(to encoder: any Encoder) throws {
        try record.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(files, forKey: .files)
        try container.encode(seeds, forKey: .seeds)
        try container.encodeIfPresent(flagged, forKey: .flagged)
        try container.encode(seconds, forKey: .seconds)
    }

    /// What the safety checker flagged; nil for nothing.
    static func sentence(flagged: [Bool]?) -> String? {
        let numbers = (flagged ?? []).indices.filter { flagged?[$0] == true }.map { $0 + 1 }
        guard let flagged, !numbers.isEmpty else { return nil }
        let advice = "another seed or prompt may help."
        if flagged.count == 1 { return "The safety checker flagged the picture, which is black: \(advice)" }
        if numbers.count == 1 { return "The safety checker flagged picture \(numbers[0]), which is black: \(advice)" }
        let list = numbers.dropLast().map(String.init).joined(separator: ", ") + " and \(numbers[numbers.count - 1])"
        return "The safety checker flagged the pictures \(list), which are black: \(advice)"
    }

    /// One line for a person.
    static func summary(_ result: GenerationResult, files: [String]) -> String {
        let timings = result.timings
        let list =
            files.count > 4
            ? "\(files.count) pictures, \(files[0]) to \(files[files.count - 1])" : files.joined(separator: ", ")
        let (first, last) = (result.seeds.first ?? 0, result.seeds.last ?? 0)
        let seeds = first == last ? "seed \(first)" : "seeds \(first) to \(last)"
        return String(
            format: "%@ (%@, %@): %.2f s, of which U-Net %.2f s, VAE %.2f s", Printable.line(list), seeds, result.scheduler,
            timings.total,
            timings.unet, timings.vaeDecoder)
    }
}
