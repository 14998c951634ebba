/// What the key of a tensor in an adapter's file says: the part of the model, the module in it, and what the tensor is.
struct AdapterKey: Equatable {
    /// A graph of a model that adapters change.
    enum Part: String, Sendable, Hashable, CaseIterable {
        case unet
        /// The text encoder of SD 1.x and 2.x, and the first of SDXL.
        case textEncoder = "text_encoder"
        case secondTextEncoder = "text_encoder_2"
    }

    /// What a tensor is for its module. The names are those of the trainers (LyCORIS; `magnitude` is PEFT's).
    enum Field: String, Sendable, Hashable {
        case down = "lora_down"
        case up = "lora_up"
        case mid = "lora_mid"
        /// PEFT's bias of the second factor.
        case upBias = "lora_B.bias"
        case alpha
        /// A factor of the whole difference, which LyCORIS trains with `use_scalar`.
        case scalar
        case doraScale = "dora_scale"
        case magnitude = "lora_magnitude_vector"
        case hadaW1A = "hada_w1_a"
        case hadaW1B = "hada_w1_b"
        case hadaW2A = "hada_w2_a"
        case hadaW2B = "hada_w2_b"
        case hadaT1 = "hada_t1"
        case hadaT2 = "hada_t2"
        case lokrW1 = "lokr_w1"
        case lokrW1A = "lokr_w1_a"
        case lokrW1B = "lokr_w1_b"
        case lokrW2 = "lokr_w2"
        case lokrW2A = "lokr_w2_a"
        case lokrW2B = "lokr_w2_b"
        case lokrT2 = "lokr_t2"
        case diff
        case diffBias = "diff_b"
        case gloraA1 = "a1"
        case gloraA2 = "a2"
        case gloraB1 = "b1"
        case gloraB2 = "b2"
        case gloraMid = "bm"
        /// What IA³ multiplies each output, or input, by; a tensor with the name of the layer's own weight.
        case factors = "weight"
        /// Whether IA³ multiplies inputs.
        case onInput = "on_input"
    }

    /// Who writes keys like it.
    enum Convention: String, Sendable, Hashable {
        /// `lora_unet_….lora_down.weight`; OneTrainer's and LyCORIS's too.
        case kohya
        /// `unet.….lora_A.weight`, and the older `unet.….processor.to_q_lora.down.weight`.
        case diffusers
        /// `base_model.model.….lora_A.weight`.
        case peft
    }

    let part: Part
    /// The module's name in the part, in the trainer's spelling: `down_blocks_1_attentions_0_proj_in` or with dots.
    let module: String
    let field: Field
    let convention: Convention

    /// The module's name with underscores for dots, in which the spellings of all trainers agree.
    var name: String { Self.plain(module) }

    static func plain(_ name: String) -> String { name.replacing(".", with: "_") }

    /// Nil for a key of no known form.
    init?(_ key: String) {
        var pieces = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let field = Self.takeField(&pieces), !pieces.isEmpty else { return nil }
        var isPEFT = false
        while pieces.count > 2, pieces[0] == "base_model", pieces[1] == "model" {
            pieces.removeFirst(2)
            isPEFT = true
        }
        guard let (part, isKohya) = Self.takePart(&pieces), !pieces.isEmpty else { return nil }
        // Attention processors of diffusers up to 0.20.
        pieces.removeAll { $0 == "processor" }
        if part != .unet, pieces.contains("self_attn"), let last = pieces.last {
            let names = ["to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"]
            pieces[pieces.count - 1] = names[last] ?? last
        } else if pieces.last == "to_out" {
            pieces.append("0")
        }
        self.part = part
        module = pieces.joined(separator: ".")
        self.field = field
        convention = isKohya ? .kohya : isPEFT ? .peft : .diffusers
    }

    /// Takes what the tensor is from a key's end.
    private static func takeField(_ pieces: inout [String]) -> Field? {
        // `lora.down.weight`, `to_q_lora.up.weight`, `lora_linear_layer.down.weight`.
        if pieces.count >= 4, pieces.last == "weight", let field = ["down": Field.down, "up": .up][pieces[pieces.count - 2]] {
            let owner = pieces[pieces.count - 3]
            if owner == "lora" || owner == "lora_linear_layer" {
                pieces.removeLast(3)
                return field
            }
            if owner.hasSuffix("_lora") {
                pieces.removeLast(3)
                pieces.append(String(owner.dropLast("_lora".count)))
                return field
            }
        }
        let other = ["lora_A": Field.down, "lora_B": .up]
        // What follows the name: nothing, `weight`, and with PEFT the adapter's name before it.
        for length in 0...2 where pieces.count > length + 1 {
            let place = pieces.count - 1 - length
            let name = pieces[place]
            let tail = pieces[(place + 1)...]
            guard let field = other[name] ?? Field(rawValue: name), field != .factors else { continue }
            let isBias = tail.last == "bias" && name == "lora_B"
            guard length == 0 || tail.last == "weight" || isBias || (length == 1 && name.hasPrefix("lora_")) else { continue }
            pieces.removeLast(length + 1)
            return isBias ? .upBias : field
        }
        guard pieces.count > 1, pieces.last == Field.factors.rawValue else { return nil }
        pieces.removeLast()
        return .factors
    }

    /// Takes the part of the model from a key's start, or finds it by the module's name.
    private static func takePart(_ pieces: inout [String]) -> (Part, isKohya: Bool)? {
        let kohya: [(String, Part)] = [
            ("lora_unet", .unet), ("lora_te1", .textEncoder), ("lora_te2", .secondTextEncoder), ("lora_te", .textEncoder),
        ]
        for (prefix, part) in kohya {
            if pieces[0] == prefix {
                pieces.removeFirst()
                return (part, true)
            }
            if pieces[0].hasPrefix(prefix + "_") {
                pieces[0].removeFirst(prefix.count + 1)
                return (part, true)
            }
        }
        let named: [([String], Part)] = [
            (["unet"], .unet), (["text_encoder"], .textEncoder), (["text_encoder_2"], .secondTextEncoder),
            (["model", "diffusion_model"], .unet), (["diffusion_model"], .unet),
            (["text_encoders", "clip_l", "transformer"], .textEncoder),
            (["text_encoders", "clip_g", "transformer"], .secondTextEncoder), (["clip_l"], .textEncoder),
            (["clip_g"], .secondTextEncoder),
        ]
        for (prefix, part) in named where pieces.starts(with: prefix) && pieces.count > prefix.count {
            pieces.removeFirst(prefix.count)
            return (part, false)
        }
        // LyCORIS's own wrapper.
        if pieces[0].hasPrefix("lycoris_") { pieces[0].removeFirst("lycoris_".count) }
        let name = plain(pieces.joined(separator: "."))
        if ModuleNames.unet(name) != nil || ModuleNames.isSGM(name) { return (.unet, false) }
        return ModuleNames.text(name) != nil ? (.textEncoder, false) : nil
    }
}
