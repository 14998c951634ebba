import Foundation
import SDPipeline

/// A picture that is to be made again, by what its file says.
struct ReplayedPicture {
    let path: String
    let metadata: PictureMetadata
    private let bytes: [UInt8]

    /// - Throws: ``CommandFailure`` where the file says nothing of how it was made, and what reading it throws.
    init(_ path: String) throws {
        // Nothing is decoded, so any size will do.
        let source = try PictureSource(contentsOf: URL(fileURLWithPath: path), pixelLimit: .max)
        let metadata: PictureMetadata?
        do { metadata = try PictureMetadata(source.bytes) } catch { throw CommandFailure("\(path): \(error)") }
        guard let metadata else {
            throw CommandFailure(
                "\(path) doesn't say how it was made: expected a text of "
                    + PictureMetadata.Source.allCases.dropLast().map(\.name).joined(separator: ", ")
                    + " or \(PictureMetadata.Source.allCases[PictureMetadata.Source.allCases.count - 1].name).")
        }
        (self.path, self.metadata, bytes) = (path, metadata, source.bytes)
    }

    /// The options that make it, those of files that it was made from included, but for what was given beside it.
    ///
    /// - Throws: ``CommandFailure`` where a file is missing.
    func arguments(beside given: GenerateCommand) throws -> [String] {
        if let record = metadata.record { return try PictureArguments.of(record, beside: given, picture: path) }
        return try PictureArguments.of(metadata.settings, beside: given, picture: path)
    }

    /// Of a batch whose pictures share a generator, which one it is, from 0 on: the batch is made as a whole then.
    func place(in given: GenerateCommand) -> Int? {
        guard let record = metadata.record, record.batchSeeds == .shared, record.batchCount > 1, given.batchCount == 1,
            (1...record.batchCount).contains(record.number)
        else { return nil }
        return record.number - 1
    }

    /// Of a batch made anew, the picture that is this one; and its place in its batch, where it has been made alone.
    func choose(_ result: inout GenerationResult, place: Int?) {
        if let place, result.images.indices.contains(place), result.records.count == result.images.count {
            result.images = [result.images[place]]
            result.records = [result.records[place]]
            result.seeds = [result.seeds[place]]
            result.flagged = result.flagged.map { [$0[place]] }
        }
        guard let record = metadata.record, record.batchSeeds == .consecutive, result.records.count == 1,
            result.records[0].batchSeeds == .consecutive, result.records[0].seed == record.seed
        else { return }
        (result.records[0].batchCount, result.records[0].number) = (record.batchCount, record.number)
    }

    /// How what was made compares with the picture.
    ///
    /// - Parameters:
    ///   - made: what the picture was made with this time.
    ///   - file: its file's content.
    func report(_ made: GenerationRecord, file: [UInt8]) throws -> [String] {
        if file == bytes { return ["Byte for byte the same as \(path)."] }
        guard let record = metadata.record else {
            let left = metadata.settings.others.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.shortened(to: 60))" }
            var lines = [
                "\(path) was made by \(metadata.program ?? metadata.source.name)"
                    + (metadata.settings.model.map { " with the model \($0)" } ?? "")
                    + (metadata.settings.modelHash.map { " [\($0)]" } ?? "")
                    + ", this picture by \(made.program) \(made.version) with \(made.model): they may be alike, not the same."
            ]
            if let adapters = metadata.settings.adapters {
                lines.append(
                    "Left out of \(path): the adapters \(adapters.map { "\($0.name) (\($0.weight))" }.joined(separator: ", "))."
                )
            }
            if !left.isEmpty { lines.append("Left out of \(path): \(left.joined(separator: ", ")).") }
            return lines
        }
        let differences = try made.differences(from: record)
        if differences.isEmpty { return ["Made again with the model and the settings of \(path)."] }
        let list = differences.map { difference in
            let (value, other) = (difference.value ?? "none", difference.other ?? "none")
            return "\(difference.key) \(value.shortened(to: 60)) (there \(other.shortened(to: 60)))"
        }
        return ["Not made as \(path) was: \(list.joined(separator: ", "))."]
    }
}
