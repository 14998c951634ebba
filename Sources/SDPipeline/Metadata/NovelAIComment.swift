/// What NovelAI's pictures say: the prompt as `Description`, and settings as JSON in `Comment`.
struct NovelAIComment {
    let program: String
    let settings: PictureSettings

    /// Nil where the texts are another program's.
    init?(_ texts: [PNGText]) {
        func text(_ key: String) -> String? { texts.first { $0.key == key }?.text }
        guard let comment = text("Comment").flatMap(JSONValue.init(parsing:)), comment.object != nil,
            text("Software") == "NovelAI" || comment["uc"] != nil
        else { return nil }
        program = ["NovelAI", text("Source")].compactMap { $0 }.joined(separator: ", ")
        var settings = PictureSettings()
        settings.prompt = (comment["prompt"]?.text ?? text("Description")).map(Self.prompt)
        settings.negativePrompt = comment["uc"]?.text.map(Self.prompt)
        settings.promptSyntax = .a1111
        // Its models for Stable Diffusion 1.x take the states of the layer before the last, which their files don't say.
        if !(text("Source") ?? "").contains("XL"), comment["v4_prompt"] == nil { settings.clipSkip = 2 }
        settings.width = PictureSettings.whole(comment["width"]?.whole, in: PictureSettings.Believed.pixels)
        settings.height = PictureSettings.whole(comment["height"]?.whole, in: PictureSettings.Believed.pixels)
        settings.steps = PictureSettings.whole(comment["steps"]?.whole, in: PictureSettings.Believed.steps)
        settings.guidanceScale = comment["scale"]?.number
        settings.seed = comment["seed"]?.whole
        settings.strength = PictureSettings.share(comment["strength"]?.number)
        let schedule = comment["noise_schedule"]?.text ?? ""
        if let sampler = comment["sampler"]?.text {
            // Native levels are those of the model's timesteps.
            let type = ["", "native"].contains(schedule) ? "Uniform" : schedule
            settings.scheduler = WebUISampler(name: sampler, scheduleType: sampler.hasPrefix("ddim") ? "" : type).scheduler
        }
        let known: Set<String> = ["prompt", "uc", "width", "height", "steps", "scale", "seed", "strength"]
        for (key, value) in comment.object ?? [:] where !known.contains(key) {
            if settings.scheduler != nil, key == "sampler" || key == "noise_schedule" { continue }
            if let plain = value.plain { settings.others[key] = plain }
        }
        self.settings = settings
    }

    /// A prompt of its syntax in AUTOMATIC1111's: each pair of braces counts 1.05 times as much, each pair of brackets 1.05 times less, and
    /// parentheses mean nothing. Braces and brackets without a partner are left as they are, escaped.
    static func prompt(_ text: String) -> String {
        let characters = Array(text)
        var partners: [Int: Int] = [:]
        for (open, close) in [("{", "}"), ("[", "]")] as [(Character, Character)] {
            var waiting: [Int] = []
            for (index, character) in characters.enumerated() {
                if character == open { waiting.append(index) }
                if character == close, let start = waiting.popLast() { (partners[start], partners[index]) = (index, start) }
            }
        }
        return characters.enumerated().map { index, character in
            switch character {
            case "(", ")", "\\": "\\\(character)"
            case "{" where partners[index] != nil, "[" where partners[index] != nil: "("
            case "}" where partners[index] != nil: ":1.05)"
            case "]" where partners[index] != nil: ":0.952)"
            case "[", "]": "\\\(character)"
            default: "\(character)"
            }
        }
        .joined()
    }
}
