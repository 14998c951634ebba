import Foundation
import ONNXLoader

/// What an adapter is, as far as its file tells.
public struct AdapterSummary: Sendable, Equatable, Codable {
    /// How many modules of a form there are.
    public struct Count: Sendable, Equatable, Codable {
        /// `LoRA`, `LoCon`, `LoHa`, `LoKr`, `GLoRA`, `IA³`, `full`, with `DoRA` before it where lengths are apart.
        public var name: String
        /// How many modules.
        public var modules: Int
    }

    /// A word of the captions that it was trained with.
    public struct Tag: Sendable, Equatable, Codable {
        /// The word, or words between commas.
        public var tag: String
        /// How often it was there.
        public var count: Int
    }

    /// Of the file.
    public var path: String
    /// Of all of the file's bytes, 64 hexadecimal digits.
    public var sha256: String
    /// See ``LoRA/shortHash``.
    public var shortHash: String
    /// The most frequent form first.
    public var forms: [Count]
    /// Of the model's parts: `unet`, `text_encoder`, `text_encoder_2`.
    public var parts: [Count]
    /// All ranks, ascending; empty where differences are whole.
    public var ranks: [Int]
    /// All alphas, ascending; empty where none is stated, and the rank stands for it.
    public var alphas: [Double]
    /// Whose names the tensors have: `kohya`, `diffusers` or `peft`.
    public var keys: [String]
    /// The kind of model that it is for, by its shapes; nil where they don't tell.
    public var family: String?
    /// The types of the tensors.
    public var types: [String]
    /// What its trainer called it.
    public var title: String?
    /// The model that it was trained on.
    public var baseModel: String?
    /// Words that it was trained to react to, where its metadata state them.
    public var triggerPhrase: String?
    /// The most frequent words of its captions.
    public var tags: [Tag]
    /// Keys that aren't of a known form.
    public var unknownKeys: [String]
    /// All texts of the file, shortened.
    public var metadata: [String: String]

    private enum CodingKeys: String, CodingKey {
        case path, sha256, forms, parts, ranks, alphas, keys, family, types, title, tags, metadata
        case shortHash = "short_hash"
        case baseModel = "base_model"
        case triggerPhrase = "trigger_phrase"
        case unknownKeys = "unknown_keys"
    }

    private static let mostTags = 20

    /// What an adapter that was read is.
    public init(_ lora: LoRA) {
        path = lora.path
        sha256 = lora.file.sha256
        shortHash = lora.shortHash
        func counts(_ names: [String]) -> [Count] {
            Dictionary(grouping: names) { $0 }.map { Count(name: $0.key, modules: $0.value.count) }
                .sorted { ($1.modules, $0.name) < ($0.modules, $1.name) }
        }
        forms = counts(lora.modules.map { $0.formName(lora.tensors) })
        parts = counts(lora.modules.map(\.part.rawValue))
        ranks = Set(lora.modules.compactMap(\.rank)).sorted()
        alphas = Set(lora.modules.compactMap(\.alpha)).sorted()
        keys = lora.conventions.map(\.rawValue).sorted()
        family = Self.family(lora)
        types = Set(lora.modules.flatMap(\.keys.values).compactMap { lora.tensors.entries[$0]?.dtype }).sorted()
        let texts = lora.metadata
        func stated(_ keys: String...) -> String? {
            keys.lazy.compactMap { texts[$0] }.first { !$0.isEmpty && $0 != "None" }.map { String($0.prefix(400)) }
        }
        title = stated("modelspec.title", "ss_output_name")
        baseModel = stated("ss_base_model_version", "modelspec.architecture", "ss_sd_model_name")
        triggerPhrase = stated("modelspec.trigger_phrase", "trigger_words", "activation text")
        tags = Self.tags(texts["ss_tag_frequency"])
        unknownKeys = Array(lora.unknownKeys.prefix(100))
        metadata = texts.mapValues { $0.count > 400 ? $0.prefix(400) + "…" : $0 }
    }

    /// kohya's counts of the captions' words, by folder of pictures.
    private static func tags(_ text: String?) -> [Tag] {
        guard let text, let folders = try? JSONText.decode([String: [String: Int]].self, from: Array(text.utf8)) else {
            return []
        }
        var counts: [String: Int] = [:]
        for (tag, count) in folders.values.joined() where count > 0 {
            counts[tag.trimmingCharacters(in: .whitespaces), default: 0] += min(count, 1 << 40)
        }
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(mostTags).map {
            Tag(tag: $0.key, count: $0.value)
        }
    }

    /// By the width of the states that the U-Net attends to, or that of the text encoders.
    private static func family(_ lora: LoRA) -> String? {
        let published = [
            768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL", 1280: "SDXL refiner",
        ]
        for module in lora.modules
        where module.part == .unet && (module.name.hasSuffix("attn2_to_k") || module.name.hasSuffix("attn2_to_v")) {
            guard let width = module.inputs(lora.tensors) else { continue }
            return published[width] ?? "a model with states of \(width) numbers"
        }
        if lora.modules.contains(where: { $0.part == .secondTextEncoder }) { return published[2048] }
        for module in lora.modules where module.part == .textEncoder && module.name.hasSuffix("self_attn_q_proj") {
            guard let width = module.inputs(lora.tensors) else { continue }
            return published[width] ?? "a model with a text encoder of \(width) numbers"
        }
        return nil
    }
}

extension AdapterModule {
    /// The forms' names in their publications.
    fileprivate func formName(_ file: SafetensorsFile) -> String {
        let shape = keys[.down].flatMap { file.entries[$0]?.shape } ?? []
        let name =
            switch form {
            case .lora: shape.count > 2 && shape.dropFirst(2).contains { $0 != 1 } ? "LoCon" : "LoRA"
            case .tuckerLoRA: "LoCon"
            case .loha: "LoHa"
            case .lokr: "LoKr"
            case .glora: "GLoRA"
            case .ia3: "IA³"
            case .full: "full"
            }
        return isDoRA ? "DoRA (\(name))" : name
    }

    /// The inputs of the layer, where the tensors tell.
    fileprivate func inputs(_ file: SafetensorsFile) -> Int? {
        func extent(_ field: AdapterKey.Field) -> Int? { keys[field].flatMap { file.entries[$0]?.shape.dropFirst().first } }
        switch form {
        case .lora, .tuckerLoRA: return extent(.down)
        case .loha: return extent(.hadaW1B)
        case .full: return extent(.diff)
        case .glora: return extent(.gloraA2)
        case .ia3: return nil
        case .lokr:
            guard let first = extent(.lokrW1) ?? extent(.lokrW1B), let second = extent(.lokrW2) ?? extent(.lokrW2B) else {
                return nil
            }
            let (product, overflow) = first.multipliedReportingOverflow(by: second)
            return overflow ? nil : product
        }
    }
}
