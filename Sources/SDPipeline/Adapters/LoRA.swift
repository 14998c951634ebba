import Foundation
import ONNXLoader

/// An adapter that changes the weights of a model's U-Net and text encoders a little: LoRA (Hu et al. 2021) and its relatives LoCon, LoHa,
/// LoKr, GLoRA, IA³ and DoRA, as the trainers kohya, diffusers, PEFT, LyCORIS and OneTrainer write them.
public struct LoRA: Sendable {
    /// What tags in prompts call it: the file's name without its ending.
    public let name: String
    /// Where it comes from.
    public let file: InputFiles.File
    /// How much it changes the U-Net, where no tag says more; 1 is what it was trained for.
    public var weight: Double
    /// How much it changes the text encoders.
    public var textWeight: Double
    /// The first twelve digits of the hash by which AUTOMATIC1111's web interface knows it: the SHA-256 of the tensors without the
    /// header, or what its metadata say that is.
    public let shortHash: String
    /// Texts that the trainer wrote into it.
    public let metadata: [String: String]
    /// Keys that aren't of a known form.
    public let unknownKeys: [String]
    /// Of the modules that it changes.
    let modules: [AdapterModule]
    let tensors: SafetensorsFile
    let conventions: Set<AdapterKey.Convention>
    let path: String
    /// Tells what was read once from what was read again.
    let identity = Identity()

    final class Identity: Sendable {}

    /// The most bytes of a file.
    private static let largestFile = 1 << 33
    private static let pickles = ["bin", "pt", "pth", "ckpt", "pkl", "pickle"]

    /// Reads a `.safetensors` file.
    ///
    /// - Parameters:
    ///   - url: of the file. Beside a file of PEFT an `adapter_config.json` may state its alpha.
    ///   - name: nil takes the file's name without its ending.
    ///   - weight: how much it changes the U-Net.
    ///   - textWeight: how much it changes the text encoders; nil takes `weight`.
    /// - Throws: ``PipelineError`` with the file and what is wrong with it.
    public init(contentsOf url: URL, name: String? = nil, weight: Double = 1, textWeight: Double? = nil) throws {
        self.name = name ?? url.deletingPathExtension().lastPathComponent
        path = url.path
        self.weight = weight
        self.textWeight = textWeight ?? weight
        let bytes: [UInt8]
        do { bytes = try BoundedFile.read(url, limit: Self.largestFile, takesPipes: true) } catch {
            throw PipelineError("The LoRA \(url.path) can't be read: \(error.reason).", kind: .malformedFile)
        }
        if Self.pickles.contains(url.pathExtension.lowercased()) || bytes.starts(with: [0x50, 0x4B, 3, 4]) {
            throw PipelineError(
                "The LoRA \(url.path) is a pickle of PyTorch, which runs code when it is read: expected a .safetensors file, into which "
                    + "safetensors.torch.save_file turns its tensors.", kind: .malformedFile)
        }
        do {
            let file = try SafetensorsFile(bytes: bytes)
            let configuration = AdapterConfiguration(file.metadata, beside: url)
            (modules, unknownKeys, conventions) = try Self.modules(file, configuration)
            (tensors, metadata) = (file, file.metadata)
            let stated = file.metadata["sshs_model_hash"].flatMap { hash in
                hash.count >= 12 && hash.allSatisfy { $0.isASCII && $0.isHexDigit } ? hash.lowercased() : nil
            }
            shortHash = String((stated ?? SHA256.hexadecimal(of: Array(file.tensorBytes))).prefix(12))
        } catch let error as SafetensorsFile.FormatError {
            throw PipelineError("The LoRA \(url.path) can't be used: \(error.reason).", kind: .malformedFile)
        }
        self.file = InputFiles.File(path: url.path, bytes: bytes)
    }

    /// The modules of a file, by part and name, and the keys that aren't of a known form.
    private static func modules(
        _ file: SafetensorsFile, _ configuration: AdapterConfiguration
    ) throws -> ([AdapterModule], unknown: [String], Set<AdapterKey.Convention>) {
        struct Place: Hashable {
            let part: AdapterKey.Part
            let name: String
        }
        var found: [Place: (module: String, keys: [AdapterKey.Field: String])] = [:]
        var unknown: [String] = []
        var conventions: Set<AdapterKey.Convention> = []
        for name in file.entries.keys.sorted() {
            guard let key = AdapterKey(name) else {
                unknown.append(name)
                continue
            }
            conventions.insert(key.convention)
            let place = Place(part: key.part, name: key.name)
            var entry = found[place] ?? (key.module, [:])
            guard entry.keys[key.field] == nil else {
                throw SafetensorsFile.FormatError(
                    reason:
                        "its tensors \"\(entry.keys[key.field]?.shortened(to: 160) ?? "")\" and \"\(name.shortened(to: 160))\" say the same"
                )
            }
            entry.keys[key.field] = name
            found[place] = entry
        }
        // What has the name of a layer's own weight is one of IA³ where the layer has `on_input`, and a model's otherwise.
        for (place, entry) in found where entry.keys[.onInput] == nil {
            guard let name = entry.keys[.factors] else { continue }
            found[place]?.keys[.factors] = nil
            unknown.append(name)
        }
        unknown.sort()
        // Numbers of modules without tensors say nothing.
        let usable = found.filter { !$0.value.keys.keys.allSatisfy { [.alpha, .scalar, .onInput].contains($0) } }
        guard !usable.isEmpty else {
            let names = file.entries.keys.sorted().prefix(3).map { "\"\($0.shortened(to: 80))\"" }.joined(separator: ", ")
            throw SafetensorsFile.FormatError(
                reason: file.entries.isEmpty
                    ? "it has no tensors"
                    : "none of its \(file.entries.count) tensors has a name that adapters of Stable Diffusion have, such as "
                        + "lora_unet_….lora_down.weight or unet.….lora_A.weight; found \(names)\(AdapterKind.hint(file.entries.keys))"
            )
        }
        let modules = try usable.sorted { ($0.key.part.rawValue, $0.key.name) < ($1.key.part.rawValue, $1.key.name) }.map {
            let hasOwn = $0.value.keys[.alpha] != nil
            return try AdapterModule(
                part: $0.key.part, module: $0.value.module, keys: $0.value.keys, file: file,
                stated: hasOwn ? nil : configuration.alpha(of: $0.value.module, part: $0.key.part))
        }
        return (modules, unknown, conventions)
    }
}

/// Forms of adapters and kinds of models that aren't known here, by parts of their keys.
enum AdapterKind {
    private static let known = [
        ("oft_blocks", "an adapter of the form OFT or BOFT"), ("oft_diag", "an adapter of the form OFT"),
        ("boft_R", "an adapter of the form BOFT"), ("oft_R", "an adapter of the form OFT"),
        ("vera_lambda", "an adapter of the form VeRA"), ("w_norm", "an adapter of normalisations alone"),
        ("transformer.", "an adapter of a transformer, such as Flux or Stable Diffusion 3"),
        ("lora_transformer", "an adapter of a transformer, such as Flux or Stable Diffusion 3"),
        ("double_blocks", "an adapter of Flux"), ("control_model", "a ControlNet"),
        ("first_stage_model", "a whole model"), ("emb_params", "a textual inversion embedding"),
        ("clip_g", "a textual inversion embedding"),
    ]

    /// What a file seems to be, to be added to a sentence.
    static func hint(_ keys: some Sequence<String>) -> String {
        for key in keys {
            if let (_, what) = known.first(where: { key.contains($0.0) }) { return ": it seems to be \(what)" }
        }
        return ""
    }
}
