import Foundation
import ONNXLoader
import SDPipeline

/// What a picture says of itself, for a person: a line for each setting.
enum MetadataReport {
    static func lines(_ metadata: PictureMetadata) throws -> [String] {
        var rows = [("made by", metadata.program ?? metadata.source.name)]
        if let record = metadata.record {
            rows += try values(
                record, leading: ["prompt", "negative_prompt", "model", "model_hash", "scheduler"],
                skipping: ["program", "version"])
        } else {
            rows += try values(
                metadata.settings, leading: ["prompt", "negative_prompt", "model", "model_hash", "scheduler"],
                skipping: ["others"])
            rows += metadata.settings.others.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
        let width = min(rows.map(\.0.count).max() ?? 0, 30)
        return rows.map { key, value in
            let indent = String(repeating: " ", count: width + 2)
            let text = value.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n" + indent)
            return key + String(repeating: " ", count: max(width - key.count, 0) + 2) + text
        }
    }

    /// A value's JSON as rows of keys and texts, some of them first.
    private static func values(_ value: some Encodable, leading: [String], skipping: Set<String>) throws -> [(String, String)] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let object = try JSONText.decode([String: JSONValue].self, from: Array(encoder.encode(value)))
        let keys =
            leading.filter { object[$0] != nil }
            + object.keys.filter { !leading.contains($0) && !skipping.contains($0) }.sorted()
        return try keys.map { key in
            let value = object[key] ?? .text("")
            let text = try value.text ?? String(decoding: encoder.encode(value), as: UTF8.self)
            return (key.replacing("_", with: " "), text)
        }
    }
}
