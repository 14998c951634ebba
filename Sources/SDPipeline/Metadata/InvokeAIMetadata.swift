import Foundation

/// What InvokeAI's pictures say: JSON in `invokeai_metadata` since its version 3, in `sd-metadata` before.
struct InvokeAIMetadata {
    let program: String
    let settings: PictureSettings

    /// Nil where the texts are another program's.
    init?(_ texts: [PNGText]) {
        func json(_ key: String) -> JSONValue? {
            texts.first { $0.key == key }.flatMap { JSONValue(parsing: $0.text) }.flatMap { $0.object == nil ? nil : $0 }
        }
        if let metadata = json("invokeai_metadata") {
            program = ["InvokeAI", metadata["app_version"]?.text].compactMap { $0 }.joined(separator: " ")
            settings = Self.settings(metadata)
        } else if let metadata = json("sd-metadata"), let image = metadata["image"], image.object != nil {
            program = [metadata["app_id"]?.text ?? "InvokeAI", metadata["app_version"]?.text].compactMap { $0 }.joined(
                separator: " ")
            settings = Self.oldSettings(metadata, image)
        } else {
            return nil
        }
    }

    private static func settings(_ metadata: JSONValue) -> PictureSettings {
        var settings = common(metadata)
        settings.prompt = metadata["positive_prompt"]?.text
        settings.negativePrompt = metadata["negative_prompt"]?.text ?? ""
        settings.scheduler = metadata["scheduler"]?.text.flatMap(scheduler)
        if let skipped = metadata["clip_skip"]?.whole, skipped > 0, skipped < PictureSettings.Believed.clipSkip.upperBound {
            settings.clipSkip = Int(skipped) + 1
        }
        settings.noiseSource = metadata["rand_device"]?.text.flatMap { ["cpu": .torch, "cuda": .cuda][$0] }
        settings.model = name(metadata["model"])
        settings.modelHash = metadata["model"]?["hash"]?.text
        settings.vae = name(metadata["vae"])
        let adapters = (metadata["loras"]?.list ?? []).compactMap { entry -> PictureSettings.Adapter? in
            guard let name = name(entry["lora"] ?? entry["model"]) else { return nil }
            return PictureSettings.Adapter(name: name, weight: entry["weight"]?.number ?? 1)
        }
        settings.adapters = adapters.isEmpty ? nil : adapters
        let known: Set<String> = [
            "positive_prompt", "negative_prompt", "rand_device", "width", "height", "steps", "seed", "cfg_scale", "strength",
            "app_version", "clip_skip",
        ]
        for (key, value) in metadata.object ?? [:] where !known.contains(key) {
            if key == "scheduler", settings.scheduler != nil { continue }
            if let plain = value.plain, !plain.isEmpty { settings.others[key] = plain }
        }
        return settings
    }

    /// A prompt is a text or a list of weighted ones, in which what is in brackets is the negative prompt.
    private static func oldSettings(_ metadata: JSONValue, _ image: JSONValue) -> PictureSettings {
        var settings = common(image)
        let parts = image["prompt"]?.list?.compactMap { $0["prompt"]?.text }
        if let prompt = image["prompt"]?.text ?? parts?.joined(separator: ", ") {
            let negative = prompt.matches(of: /\[([^\[\]]*)\]/).map { String($0.1) }
            settings.negativePrompt = negative.joined(separator: " ")
            settings.prompt = prompt.replacing(/\[[^\[\]]*\]/, with: "").trimmingCharacters(in: .whitespaces)
        }
        settings.scheduler = image["sampler"]?.text.flatMap(scheduler)
        settings.model = metadata["model_weights"]?.text
        settings.modelHash = metadata["model_hash"]?.text
        return settings
    }

    private static func common(_ values: JSONValue) -> PictureSettings {
        var settings = PictureSettings()
        settings.width = PictureSettings.whole(values["width"]?.whole, in: PictureSettings.Believed.pixels)
        settings.height = PictureSettings.whole(values["height"]?.whole, in: PictureSettings.Believed.pixels)
        settings.steps = PictureSettings.whole(values["steps"]?.whole, in: PictureSettings.Believed.steps)
        settings.guidanceScale = values["cfg_scale"]?.number
        settings.seed = values["seed"]?.whole
        settings.strength = PictureSettings.share(values["strength"]?.number)
        return settings
    }

    private static func name(_ model: JSONValue?) -> String? {
        model?["name"]?.text ?? model?["model_name"]?.text ?? model?.text
    }

    /// Its names are diffusers' in short, with `_k` for Karras' noise levels.
    private static func scheduler(_ name: String) -> String? {
        let isKarras = name.hasSuffix("_k")
        return WebUISampler(name: isKarras ? String(name.dropLast(2)) : name, scheduleType: isKarras ? "Karras" : "").scheduler
    }
}
