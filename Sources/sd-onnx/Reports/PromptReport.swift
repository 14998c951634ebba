import SDPipeline

/// How a prompt is read, as lines for a person.
enum PromptReport {
    static func lines(_ reading: PromptReading) -> [String] {
        var lines = ["syntax \(reading.syntax), \(reading.steps) steps"]
        for (index, part) in reading.parts.enumerated() {
            if reading.parts.count > 1 || part.weight != 1 {
                lines.append("prompt \(index + 1) of \(reading.parts.count)\(suffix(Float(part.weight)))")
            }
            for stage in part.stages { lines += self.lines(stage) }
        }
        return lines
    }

    private static func lines(_ stage: PromptReading.Stage) -> [String] {
        let pieces = stage.pieces.map { $0.isBreak ? "BREAK" : "\"\($0.text)\"\(suffix(Float($0.weight)))" }
        let steps =
            stage.firstStep == stage.lastStep ? "step \(stage.firstStep)" : "steps \(stage.firstStep) to \(stage.lastStep)"
        // All text encoders get the same tokens, but for the filling.
        let chunks = stage.encodings.first?.chunks ?? []
        var lines = ["\(steps): \(pieces.joined(separator: ", "))"]
        for (number, chunk) in chunks.enumerated() {
            lines.append("  chunk \(number + 1): \(chunk.length) of \(chunk.ids.count - 2) tokens")
            for index in 1..<chunk.length + 1 {
                let id = String(chunk.ids[index])
                let padding = String(repeating: " ", count: max(6 - id.count, 0))
                lines.append("    \(padding)\(id)  \(chunk.tokens[index])\(suffix(chunk.weights[index]))")
            }
        }
        return lines
    }

    private static func suffix(_ weight: Float) -> String { weight == 1 ? "" : " ×\(weight)" }
}
