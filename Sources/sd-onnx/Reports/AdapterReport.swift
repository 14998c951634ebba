import SDPipeline

/// What `inspect` prints of an adapter.
enum AdapterReport {
    static func text(_ summary: AdapterSummary) -> String {
        func counts(_ list: [AdapterSummary.Count]) -> String {
            list.map { "\($0.modules) \($0.name)" }.joined(separator: ", ")
        }
        func range(_ values: [Double]) -> String {
            func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
            return values.count > 6
                ? "\(text(values[0])) to \(text(values[values.count - 1]))" : values.map(text).joined(separator: ", ")
        }
        var lines: [(String, String)] = [
            ("adapter", summary.path), ("modules", counts(summary.forms)), ("parts", counts(summary.parts)),
            ("rank", summary.ranks.isEmpty ? "none" : range(summary.ranks.map { Double($0) })),
            ("alpha", summary.alphas.isEmpty ? "not stated (the rank)" : range(summary.alphas)),
            ("for", summary.family ?? "not told by its shapes"), ("keys", summary.keys.joined(separator: ", ")),
            ("types", summary.types.joined(separator: ", ")), ("sha256", summary.sha256), ("short hash", summary.shortHash),
        ]
        if let title = summary.title { lines.append(("title", title)) }
        if let base = summary.baseModel { lines.append(("trained on", base)) }
        if let phrase = summary.triggerPhrase { lines.append(("trigger", phrase)) }
        if !summary.tags.isEmpty {
            lines.append(("tags", summary.tags.map { "\($0.tag) (\($0.count))" }.joined(separator: ", ")))
        }
        if !summary.unknownKeys.isEmpty {
            lines.append(
                ("unknown", "\(summary.unknownKeys.count) keys: \(summary.unknownKeys.prefix(5).joined(separator: ", "))"))
        }
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { name, value in
            name + String(repeating: " ", count: width - name.count + 2) + Printable.line(value)
        }.joined(separator: "\n")
    }
}
