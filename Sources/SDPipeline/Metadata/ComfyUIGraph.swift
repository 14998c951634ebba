/// The graph that ComfyUI keeps with a picture as `prompt`: nodes by their identity, each with inputs that are values or links to other
/// nodes' outputs.
///
/// Nodes are anyone's, so nothing but the names of inputs that are usual is relied on. Of several samplers, the one is read that begins from
/// an empty picture, or from the picture that was given.
struct ComfyUIGraph {
    private struct Node {
        let type: String
        let inputs: [String: JSONValue]
    }

    private let nodes: [String: Node]
    /// How many links are followed at most from one node to another.
    private static let longestPath = 100

    /// Nil where the text isn't JSON of nodes.
    init?(_ json: String) {
        guard let object = JSONValue(parsing: json)?.object else { return nil }
        nodes = object.compactMapValues { value in
            guard let type = value["class_type"]?.text, let inputs = value["inputs"]?.object else { return nil }
            return Node(type: type, inputs: inputs)
        }
        if nodes.isEmpty { return nil }
    }

    /// What is known of the picture.
    var settings: PictureSettings {
        var settings = PictureSettings()
        guard let sampler = firstSampler, let node = nodes[sampler] else { return settings }
        settings.prompt = promptText(of: sampler, inputs: ["positive", "conditioning", "guider"])
        settings.negativePrompt = promptText(of: sampler, inputs: ["negative", "guider"], isNegative: true)
        settings.promptSyntax = .a1111
        let around = [sampler] + ["noise", "guider", "sampler", "sigmas"].compactMap { node.inputs[$0].flatMap(link) }
        func value(_ names: String...) -> JSONValue? {
            for place in around { for name in names { if let found = scalar(place, name) { return found } } }
            return nil
        }
        settings.steps = PictureSettings.whole(value("steps")?.whole, in: PictureSettings.Believed.steps)
        settings.guidanceScale = value("cfg")?.number
        settings.seed = value("seed", "noise_seed")?.whole
        // Noise is drawn on the CPU.
        settings.noiseSource = .torch
        if let name = value("sampler_name")?.text {
            settings.scheduler = WebUISampler(name: name, scheduleType: value("scheduler")?.text ?? "").scheduler
            if settings.scheduler == nil {
                settings.others["sampler_name"] = name
                settings.others["scheduler"] = value("scheduler")?.text
            }
        }
        if let strength = PictureSettings.share(value("denoise")?.number), strength < 1 { settings.strength = strength }
        if let latent = first(
            behind: sampler, through: Self.latentInputs, where: { $0.inputs["width"] != nil && $0.inputs["height"] != nil })
        {
            settings.width = PictureSettings.whole(scalar(latent, "width")?.whole, in: PictureSettings.Believed.pixels)
            settings.height = PictureSettings.whole(scalar(latent, "height")?.whole, in: PictureSettings.Believed.pixels)
        }
        if let image = first(behind: sampler, through: Self.latentInputs, where: { $0.type.hasPrefix("LoadImage") }) {
            settings.others["image"] = scalar(image, "image")?.text
        }
        readModel(sampler, &settings)
        return settings
    }

    private static let latentInputs = ["latent_image", "latent", "samples", "pixels", "image"]

    /// The checkpoint, the adapters on the way to it, and the text encoder's layer.
    private func readModel(_ sampler: String, _ settings: inout PictureSettings) {
        let path = ["model", "guider"]
        if let loader = first(
            behind: sampler, through: path, where: { $0.inputs["ckpt_name"] != nil || $0.inputs["unet_name"] != nil })
        {
            settings.model = (scalar(loader, "ckpt_name") ?? scalar(loader, "unet_name"))?.text
        }
        let adapters = all(behind: sampler, through: path).compactMap { place -> PictureSettings.Adapter? in
            guard let name = scalar(place, "lora_name")?.text else { return nil }
            return PictureSettings.Adapter(name: name, weight: scalar(place, "strength_model")?.number ?? 1)
        }
        settings.adapters = adapters.isEmpty ? nil : adapters
        let encoders = all(behind: sampler, through: ["positive", "conditioning", "guider", "clip"])
        if let layer = encoders.compactMap({ scalar($0, "stop_at_clip_layer")?.number }).first, (-100 ... -1).contains(layer) {
            settings.clipSkip = Int(-layer)
        }
    }

    /// The sampler that none comes before: its latents don't come from another one.
    private var firstSampler: String? {
        let candidates = nodes.filter { entry in
            let inputs = entry.value.inputs
            let hasSeed = ["seed", "noise_seed", "noise"].contains { inputs[$0] != nil }
            let hasPrompt = ["positive", "guider"].contains { inputs[$0].flatMap(link) != nil }
            return hasSeed && hasPrompt && ["latent_image", "latent"].contains { inputs[$0].flatMap(link) != nil }
        }
        .keys.sorted { ($0.count, $0) < ($1.count, $1) }
        return candidates.first { candidate in
            !all(behind: candidate, through: Self.latentInputs).dropFirst().contains { candidates.contains($0) }
        } ?? candidates.first
    }

    /// The node that a value links to; nil where it is no link, or one to nowhere.
    private func link(_ value: JSONValue) -> String? {
        guard let list = value.list, list.count == 2, let name = list[0].plain, nodes[name] != nil else { return nil }
        return name
    }

    /// An input's value, or that of a node that holds nothing else.
    private func scalar(_ place: String, _ name: String) -> JSONValue? {
        var (place, name) = (place, name)
        for _ in 0..<Self.longestPath {
            guard let value = nodes[place]?.inputs[name] else { return nil }
            if value.plain != nil { return value }
            guard let next = link(value), let inputs = nodes[next]?.inputs else { return nil }
            let names = [name, "value", "seed", "noise_seed", "int", "float", "number", "text", "string", "Value", "Text"]
            guard let found = names.first(where: { inputs[$0] != nil }) else { return nil }
            (place, name) = (next, found)
        }
        return nil
    }

    /// The nodes behind some of a node's inputs, itself first, the nearest first; each once.
    private func all(behind start: String, through inputs: [String]) -> [String] {
        var result = [start]
        var seen: Set<String> = [start]
        var position = 0
        while position < result.count {
            for name in inputs {
                guard let next = nodes[result[position]]?.inputs[name].flatMap(link), seen.insert(next).inserted else {
                    continue
                }
                result.append(next)
            }
            position += 1
        }
        return result
    }

    private func first(behind start: String, through inputs: [String], where isWanted: (Node) -> Bool) -> String? {
        all(behind: start, through: inputs).first { nodes[$0].map(isWanted) ?? false }
    }

    /// The text of the nearest encoder behind a sampler's inputs.
    private func promptText(of sampler: String, inputs: [String], isNegative: Bool = false) -> String? {
        let way = isNegative ? ["negative", "guider"] : ["positive", "conditioning", "guider"]
        let conditionings = ["conditioning", "conditioning_1", "conditioning_2", "conditioning_to", "conditioning_from"]
        for name in inputs {
            guard let start = nodes[sampler]?.inputs[name].flatMap(link) else { continue }
            for place in all(behind: start, through: way + conditionings) {
                for key in ["text", "text_g", "t5xxl", "clip_l", "text_l", "prompt"] {
                    if let text = scalar(place, key)?.text { return text }
                }
            }
        }
        return nil
    }
}
