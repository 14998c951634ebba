import Foundation

/// A tag of a prompt in AUTOMATIC1111's web interface: `<lora:name:0.8>` lets the adapter of that name count 0.8, `<lora:name:0.8:0.5>`
/// 0.8 for the text encoders and 0.5 for the U-Net.
///
/// As there: numbers that are missing are 1, the U-Net's is the text encoders' where it is missing, they may have names
/// (`<lora:name:te=0.8:unet=0.5>`), `<lyco:…>` is the same, and only the prompt has tags: in a negative prompt they are text.
public struct LoRATag: Sendable, Equatable {
    /// The adapter's name.
    public var name: String
    /// For the text encoders.
    public var textWeight: Double
    /// For the U-Net.
    public var weight: Double

    /// Takes the tags out of a prompt.
    ///
    /// - Returns: the prompt without them, and the tags in their order.
    /// - Throws: ``PipelineError`` for a tag whose weights aren't numbers.
    public static func taken(from prompt: String) throws -> (prompt: String, tags: [LoRATag]) {
        var tags: [LoRATag] = []
        var rest = ""
        var position = prompt.startIndex
        for match in prompt.matches(of: /<(?:lora|lyco):([^>]+)>/) {
            rest += prompt[position..<match.range.lowerBound]
            position = match.range.upperBound
            tags.append(try tag(String(match.output.1)))
        }
        return (rest + prompt[position...], tags)
    }

    private static func tag(_ content: String) throws -> LoRATag {
        var positional: [String] = []
        var named: [String: String] = [:]
        for item in content.split(separator: ":", omittingEmptySubsequences: false) {
            if !positional.isEmpty, let sign = item.firstIndex(of: "=") {
                named[String(item[..<sign])] = String(item[item.index(after: sign)...])
            } else {
                positional.append(String(item))
            }
        }
        func number(_ text: String?) throws -> Double? {
            guard let text else { return nil }
            guard let value = Double(text.trimmingCharacters(in: .whitespaces)), Float(value).isFinite else {
                throw PipelineError(
                    "The prompt's \"\(shortened(content))\" has the weight \"\(text.prefix(40))\", expected a number.",
                    kind: .invalidRequest)
            }
            return value
        }
        let textWeight = try number(named["te"]) ?? number(positional.dropFirst().first) ?? 1
        let weight = try number(named["unet"]) ?? number(positional.dropFirst(2).first) ?? textWeight
        return LoRATag(name: positional[0].trimmingCharacters(in: .whitespaces), textWeight: textWeight, weight: weight)
    }

    private static func shortened(_ content: String) -> String { "<lora:\(content.prefix(80))>" }
}
