import SDPipeline

extension Infotext {
    /// The settings by their names, with `Prompt` and `Negative prompt`.
    var parameters: [String: String] {
        var result = Dictionary(pairs.map { ($0.key, $0.value) }) { _, last in last }
        (result["Prompt"], result["Negative prompt"]) = (prompt, negativePrompt)
        return result
    }

    /// The fields of a request that the settings stand for.
    var fields: [String: String] {
        let names = [
            "Prompt": "prompt", "Negative prompt": "negative_prompt", "Steps": "steps", "Sampler": "sampler_name",
            "Schedule type": "scheduler", "CFG scale": "cfg_scale", "Seed": "seed", "Denoising strength": "denoising_strength",
            "Variation seed": "subseed", "Variation seed strength": "subseed_strength",
        ]
        let parameters = parameters
        var result: [String: String] = [:]
        for (key, name) in names { result[name] = parameters[key] }
        if let size = parameters["Size"]?.split(separator: "x"), size.count == 2 {
            (result["width"], result["height"]) = (String(size[0]), String(size[1]))
        }
        return result
    }
}
