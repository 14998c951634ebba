import Foundation

/// The settings of a picture as AUTOMATIC1111's web interface writes them: the prompt, the negative prompt, and a line of pairs.
enum Infotext {
    /// The pairs by their names, with `Prompt` and `Negative prompt`.
    static func parameters(_ text: String) -> [String: String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var result: [String: String] = [:]
        let last = lines.last.map(pairs) ?? []
        // As there, fewer than three pairs are taken for a line of the prompt.
        if last.count >= 3 {
            lines.removeLast()
            for (key, value) in last { result[key] = value }
        }
        let marker = "Negative prompt:"
        let start = lines.firstIndex { $0.hasPrefix(marker) }
        result["Prompt"] = lines[..<(start ?? lines.count)].joined(separator: "\n")
        if let start {
            let negative = [String(lines[start].dropFirst(marker.count))] + lines[(start + 1)...]
            result["Negative prompt"] = negative.joined(separator: "\n").trimmingCharacters(in: .whitespaces)
        } else {
            result["Negative prompt"] = ""
        }
        return result
    }

    /// The fields of a request that settings stand for.
    static func fields(_ parameters: [String: String]) -> [String: String] {
        let names = [
            "Prompt": "prompt", "Negative prompt": "negative_prompt", "Steps": "steps", "Sampler": "sampler_name",
            "Schedule type": "scheduler", "CFG scale": "cfg_scale", "Seed": "seed", "Denoising strength": "denoising_strength",
            "Variation seed": "subseed", "Variation seed strength": "subseed_strength",
        ]
        var result: [String: String] = [:]
        for (key, name) in names { result[name] = parameters[key] }
        if let size = parameters["Size"]?.split(separator: "x"), size.count == 2 {
            (result["width"], result["height"]) = (String(size[0]), String(size[1]))
        }
        return result
    }

    /// `Key: value` pairs with commas between them; a value with commas or colons is a JSON string.
    private static func pairs(_ line: String) -> [(String, String)] {
        var result: [(String, String)] = []
        var rest = line[...]
        while let colon = rest.firstIndex(of: ":") {
            let key = rest[..<colon].trimmingCharacters(in: .whitespaces)
            guard !key.isEmpty, key.allSatisfy({ $0.isLetter || $0.isNumber || " -/_".contains($0) }) else { return [] }
            rest = rest[rest.index(after: colon)...].drop { $0 == " " }
            if rest.first == "\"", let (value, end) = quoted(rest) {
                result.append((key, value))
                rest = rest[end...]
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                result.append((key, rest[..<end].trimmingCharacters(in: .whitespaces)))
                rest = rest[end...]
            }
            rest = rest.drop { $0 == "," || $0 == " " }
        }
        return result
    }

    private static func quoted(_ text: Substring) -> (String, Substring.Index)? {
        var isEscaped = false
        for index in text.indices.dropFirst() {
            let character = text[index]
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                let end = text.index(after: index)
                let literal = Data(String(text[..<end]).utf8)
                return (try? JSONDecoder().decode(String.self, from: literal)).map { ($0, end) }
            }
        }
        return nil
    }
}
