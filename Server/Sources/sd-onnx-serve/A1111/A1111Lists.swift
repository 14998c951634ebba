import SDPipeline

struct A1111Model: Encodable {
    let title: String
    let name: String
    let hash: String?
    let sha256: String?
    let filename: String
    let config: String? = nil

    init(_ model: ServedModel) {
        (title, name, filename) = (model.name, model.name, model.name)
        (hash, sha256) = (model.shortHash, model.sha256)
    }

    private enum CodingKeys: String, CodingKey {
        case title, hash, sha256, filename, config
        case name = "model_name"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(title, forKey: .title)
        try container.encode(name, forKey: .name)
        // As there, null where it isn't known so far.
        try container.encode(hash, forKey: .hash)
        try container.encode(sha256, forKey: .sha256)
        try container.encode(filename, forKey: .filename)
        try container.encode(config, forKey: .config)
    }
}

struct A1111Upscaler: Encodable, Sendable {
    let name: String
    private enum CodingKeys: String, CodingKey {
        case name, scale
        case model = "model_name"
        case path = "model_path"
        case url = "model_url"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        // No client needs to know where the files are.
        for key in [CodingKeys.model, .path, .url] { try container.encodeNil(forKey: key) }
        // As there, what a factor is where none is asked for.
        try container.encode(4, forKey: .scale)
    }
}

/// What enlarges latents for a second pass.
struct A1111LatentMode: Encodable {
    let name: String

    static let all = LatentUpscaling.allCases.map { A1111LatentMode(name: $0.webUIName) }
}

struct A1111LoRA: Encodable {
    let name: String
    let alias: String
    /// In the folder of LoRAs: no client needs to know where that is.
    let path: String
    let metadata: [String: String]

    init(_ entry: AdapterStore.Entry) {
        (name, alias, path, metadata) = (entry.name, entry.alias, entry.path, entry.metadata)
    }
}

/// Words that prompts may have besides those of the model.
struct A1111Embeddings: Encodable {
    struct Embedding: Encodable {
        let step: Int? = nil
        let shape: Int? = nil
        let vectors: Int? = nil
    }
    let loaded: [String: Embedding]
    let skipped: [String: Embedding] = [:]

    init(_ configuration: PipelineConfiguration) {
        loaded = Dictionary(configuration.embeddings.map { ($0.name, Embedding()) }) { first, _ in first }
    }

    private enum CodingKeys: String, CodingKey {
        case loaded, skipped
    }
}

struct A1111Memory: Encodable {
    struct Bytes: Encodable {
        let free, used, total: Int
    }
    let ram = Bytes(free: ProcessMemory.available, used: ProcessMemory.resident, total: ProcessMemory.total)
    let cuda = ["error": "unavailable"]
}

struct A1111Scripts: Encodable {
    let txt2img: [String]
    let img2img: [String]

    init(_ controls: ControlStore) {
        txt2img = controls.networks.isEmpty ? [] : [A1111Controls.script]
        img2img = txt2img
    }

    private enum CodingKeys: String, CodingKey {
        case txt2img, img2img
    }
}
