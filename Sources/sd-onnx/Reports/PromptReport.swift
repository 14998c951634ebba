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
        return ["\(steps): \(pieces.joined(separator: ", "))"]
            + chunks.enumerated().flatMap { number, chunk in
                ["  chunk \(number + 1): \(chunk.length) of \(chunk.ids.count - 2) tokens"]
                    + (1..<chunk.length + 1).map { index in
                        let id = String(chunk.ids[index])
                        let padding = String(repeating: " ", count: max(6 - id.count, 0))
                        return "    \(padding)\(id)  \(chunk.tokens[index])\(suffix(chunk.weights[index]))"
                    }
            }
    }

    private static func suffix(_ weight: Float) -> String { weight == 1 ? "" : " ×\(weight)" }
}
