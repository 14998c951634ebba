import Foundation
import SDPipeline
import TestSupport
import Testing

/// What is read of adapters' files, and what is refused.
@Suite struct LoRAReadingTests {
    /// A file of float32 tensors, which are small numbers unless they are given.
    static func file(
        _ tensors: KeyValuePairs<String, [Int]>, metadata: [String: String] = [:], values: [String: [Float]] = [:]
    ) throws -> [UInt8] {
        try file(tensors.map { ($0.key, $0.value) }, metadata: metadata, values: values)
    }

    private func loaded(_ bytes: [UInt8], name: String = "x.safetensors") throws -> LoRA {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: name)
        try Data(bytes).write(to: url)
        return try LoRA(contentsOf: url)
    }

    private func refused(_ bytes: [UInt8], _ message: String, name: String = "x.safetensors") {
        #expect {
            _ = try loaded(bytes, name: name)
        } throws: { error in
            let text = "\(error)"
            if !text.contains(message) { print(text) }
            return text.contains(message) && text.contains(name) && text.utf8.count < 1000 && !text.dropLast().contains("\n")
        }
    }

    private static let place = "lora_unet_mid_block_attentions_0_proj_in"

    @Test func refusesHostileFiles() throws {
        refused([], "it has 0 bytes, expected a safetensors file")
        refused([0, 0, 0, 0, 0, 0, 0, 0x10, 0x7B, 0x7D], "its header has 1152921504606846976 bytes")
        refused(try Self.file([:]), "it has no tensors")
        refused(try Self.file(["a": [1]]), "none of its 1 tensors has a name that adapters of Stable Diffusion have")
        refused(
            try Self.file(["transformer.single_blocks.0.lora_A.weight": [2, 4]]), "it seems to be an adapter of a transformer")
        for (key, form) in [
            ("oft_blocks", "of the form OFT or BOFT"), ("oft_diag", "of the form OFT"), ("boft_R", "of the form BOFT"),
            ("vera_lambda_b", "of the form VeRA"), ("w_norm", "of normalisations alone"),
        ] {
            refused(try Self.file(["unet.conv_in.\(key)": [2, 4]]), "it seems to be an adapter \(form)")
        }
        // A model's own weights are no factors of IA³.
        refused(
            try Self.file(["unet.conv_in.weight": [4]]),
            "none of its 1 tensors has a name that adapters of Stable Diffusion have")
        refused(
            try Self.file(["\(Self.place).a1.weight": [4, 2], "\(Self.place).b1.weight": [4, 2]]), "has a1, b1 and no a2")
        refused(try Self.file(["\(Self.place).lora_down.weight": [2, 4]]), "has lora_down and no lora_up")
        refused(try Self.file(["\(Self.place).lora_up.weight": [4, 2]]), "has lora_up and no lora_down")
        refused(
            try Self.file(["\(Self.place).hada_w1_a": [4, 2], "\(Self.place).hada_w1_b": [2, 4]]),
            "has hada_w1_a, hada_w1_b and no hada_w2_a")
        refused(try Self.file(["\(Self.place).lokr_w1": [2, 2], "\(Self.place).lokr_w2_a": [2, 2]]), "and no lokr_w2_b")
        let pair: KeyValuePairs = [
            "\(Self.place).lora_down.weight": [2, 4], "\(Self.place).lora_up.weight": [4, 2], "\(Self.place).alpha": [2],
        ]
        refused(try Self.file(pair), "\"\(Self.place).alpha\" has the shape [2], expected one number")
        let nan: KeyValuePairs = [
            "\(Self.place).lora_down.weight": [2, 4], "\(Self.place).lora_up.weight": [4, 2], "\(Self.place).alpha": [],
        ]
        refused(try Self.file(nan, values: ["\(Self.place).alpha": [.nan]]), "has the value nan, expected finite numbers")
        refused(
            try Self.file(["\(Self.place).lora_down.weight": [0, 4], "\(Self.place).lora_up.weight": [4, 0]]),
            "has the rank 0, expected 1 or more")
        refused(
            try Self.file([
                "\(Self.place).lora_down.weight": [2, 4], "\(Self.place).lora_up.weight": [4, 2],
                "unet.mid_block.attentions.0.proj_in.lora_A.weight": [2, 4],
            ]), "say the same")
        refused([0x80, 2, 0x7D, 0x71, 0, 0x2E, 1, 1, 1], "is a pickle of PyTorch", name: "x.pt")
    }

    /// What is wrong with the numbers is said when they are merged.
    @Test(
        arguments: [
            (
                ["lora_down.weight": [2, 192], "lora_up.weight": [192, 3]], [:],
                "don't multiply: lora_up [192, 3], lora_down [2, 192]"
            ),
            (
                ["lora_down.weight": [2, 100], "lora_up.weight": [192, 2]], [:],
                "has the shape [192, 100], and the U-Net's weight [192, 192]"
            ),
            (
                ["lora_down.weight": [1, 192], "lora_up.weight": [192, 1]], ["lora_up.weight": Float.infinity],
                "has the value inf, expected finite numbers"
            ),
            (
                ["lora_down.weight": [1, 192], "lora_up.weight": [192, 1]],
                ["lora_up.weight": 3e38, "lora_down.weight": 3e38], "has numbers that aren't finite: a smaller weight is needed"
            ),
            (["lokr_w1": [4, 4], "lokr_w2": [3, 3]], [:], "has the shape [12, 12], and the U-Net's weight [192, 192]"),
            (
                ["a1.weight": [192, 2], "a2.weight": [3, 192], "b1.weight": [192, 2], "b2.weight": [2, 192]], [:],
                "don't multiply: a1 [192, 2], a2 [3, 192]"
            ),
            (
                ["a1.weight": [100, 2], "a2.weight": [2, 100], "b1.weight": [192, 2], "b2.weight": [2, 192]], [:],
                "has the shape [192, 100], and the U-Net's weight [192, 192]"
            ),
            (
                ["weight": [191], "on_input": [1]], ["on_input": 0],
                "has the shape [191] of factors for its outputs, and the U-Net's weight [192, 192]"
            ),
            (["diff": [192, 191]], [:], "has the shape [192, 191], and the U-Net's weight [192, 192]"),
            (
                ["lora_down.weight": [2], "lora_up.weight": [192, 2]], [:],
                "has the shape [2], expected a matrix's or a convolution's"
            ),
            (
                ["lora_down.weight": [2, 192], "lora_up.weight": [192, 2], "dora_scale": [7, 1]], [:],
                "has the shape [7, 1] of DoRA's lengths"
            ),
            (["diff": [192, 192], "diff_b": [3]], [:], "has the shape [3], and the U-Net's weight [192]"),
        ] as [([String: [Int]], [String: Float], String)])
    func refusesWhatDoesNotFit(tensors: [String: [Int]], fill: [String: Float], message: String) throws {
        var (names, values) = ([(String, [Int])](), [String: [Float]]())
        for (name, shape) in tensors {
            names.append(("\(Self.place).\(name)", shape))
            if let value = fill[name] { values["\(Self.place).\(name)"] = Array(repeating: value, count: shape.reduce(1, *)) }
        }
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "x.safetensors")
        try Data(Self.file(names, values: values)).write(to: url)
        let lora = try LoRA(contentsOf: url)
        let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")
        #expect {
            _ = try StableDiffusionPipeline(PipelineConfiguration(modelFolder: model, loras: [lora]))
        } throws: { error in
            let text = "\(error)"
            if !text.contains(message) { print(text) }
            return text.contains(message) && text.contains("x.safetensors")
        }
    }

    private static func file(
        _ tensors: [(String, [Int])], metadata: [String: String] = [:], values: [String: [Float]]
    ) throws -> [UInt8] {
        var (entries, data) = ([String: Any](), [UInt8]())
        for (name, shape) in tensors {
            let numbers = values[name] ?? (0..<shape.reduce(1, *)).map { 0.01 * Float($0 % 7 - 3) }
            let start = data.count
            for number in numbers { unsafe withUnsafeBytes(of: number.bitPattern.littleEndian) { data += unsafe Array($0) } }
            entries[name] = ["dtype": "F32", "shape": shape, "data_offsets": [start, data.count]]
        }
        if !metadata.isEmpty { entries["__metadata__"] = metadata }
        let header = [UInt8](try JSONSerialization.data(withJSONObject: entries))
        return unsafe withUnsafeBytes(of: UInt64(header.count).littleEndian) { unsafe Array($0) } + header + data
    }

    @Test func saysWhatHasNoHome() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "x.safetensors")
        func model(_ bytes: [UInt8]) throws -> StableDiffusionPipeline {
            try Data(bytes).write(to: url)
            return try StableDiffusionPipeline(
                PipelineConfiguration(
                    modelFolder: RepositoryRoot.url.appendingPathComponent("Models/emoji"), loras: [try LoRA(contentsOf: url)]))
        }
        let there: KeyValuePairs = [
            "\(Self.place).lora_down.weight": [2, 192], "\(Self.place).lora_up.weight": [192, 2],
            "lora_unet_down_blocks_7_attentions_0_proj_in.lora_down.weight": [2, 192],
            "lora_unet_down_blocks_7_attentions_0_proj_in.lora_up.weight": [192, 2],
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": [2, 192],
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight": [192, 2], "first.second": [1],
        ]
        let notices = try model(Self.file(there)).modelNotices.map { "\($0)" }
        #expect(
            notices == [
                "The LoRA x changes 3 modules, of which the model lacks 2: down_blocks_7_attentions_0_proj_in, text_encoder_2.text_model_encoder_layers_0_self_attn_q_proj. "
                    + "1 of the LoRA x's tensors has a name of no known form and is left out: first.second."
            ])
        let none: KeyValuePairs = [
            "lora_unet_down_blocks_7_attentions_0_proj_in.lora_down.weight": [2, 192],
            "lora_unet_down_blocks_7_attentions_0_proj_in.lora_up.weight": [192, 2],
        ]
        #expect {
            _ = try model(Self.file(none))
        } throws: {
            "\($0)".contains("changes 1 modules, such as down_blocks_7_attentions_0_proj_in, and the model has none of them")
        }
    }

    /// What tags say, by AUTOMATIC1111's rules.
    @Test(
        arguments: [
            ("a fox<lora:x>", "a fox", [("x", 1, 1)]), ("<lora:x:0.8>a fox", "a fox", [("x", 0.8, 0.8)]),
            ("a <lora:x y:0.8:0.5> fox", "a  fox", [("x y", 0.8, 0.5)]), ("<lora:x:te=0.5:unet=-1>", "", [("x", 0.5, -1)]),
            ("<lyco:a/b:.5><lora:c:1:2:8>", "", [("a/b", 0.5, 0.5), ("c", 1, 2)]), ("<lora:>", "<lora:>", []),
            ("<hypernet:x:1> < lora:x>", "<hypernet:x:1> < lora:x>", []), ("<lora:x:unet=0.5>", "", [("x", 1, 0.5)]),
        ] as [(String, String, [(String, Double, Double)])])
    func readsTags(prompt: String, rest: String, tags: [(String, Double, Double)]) throws {
        let (taken, found) = try LoRATag.taken(from: prompt)
        #expect(taken == rest)
        #expect(found.map { "\($0.name) \($0.textWeight) \($0.weight)" } == tags.map { "\($0.0) \($0.1) \($0.2)" })
    }

    @Test func refusesTagsWithoutNumbers() {
        #expect { try LoRATag.taken(from: "<lora:x:much>") } throws: {
            "\($0)" == "The prompt's \"<lora:x:much>\" has the weight \"much\", expected a number."
        }
    }

    /// What can't be read is only asked for where a module has no alpha of its own, and nothing before it matches.
    @Test func refusesPatternsThatCannotBeRead() throws {
        func bytes(_ patterns: String, _ tensors: KeyValuePairs<String, [Int]>) throws -> [UInt8] {
            let settings = "{\"unet.lora_alpha\": 4, \"unet.alpha_pattern\": {\(patterns)}}"
            return try Self.file(tensors, metadata: ["lora_adapter_metadata": settings])
        }
        let place = Self.place
        let factors: KeyValuePairs = ["\(place).lora_down.weight": [2, 4], "\(place).lora_up.weight": [4, 2]]
        for (patterns, message) in [
            ("\"to_k\": 2, \"to_(q\": 1", "the key \"to_(q\", which can't be read: a parenthesis isn't closed"),
            ("\"(?!up).*\": 2", "which can't be read: groups that begin with (?! aren't supported"),
            ("\"((.?){300}){80}Z\": 2", "which can't be read: the expressions are too large"),
        ] {
            let found = try bytes(patterns, factors)
            #expect { try loaded(found) } throws: { "\($0)".contains(message) && "\($0)".utf8.count < 1000 }
        }
        _ = try loaded(bytes("\".*\": 2, \"to_(q\": 1", factors))
        _ = try loaded(
            bytes(
                "\"to_(q\": 1",
                ["\(place).lora_down.weight": [2, 4], "\(place).lora_up.weight": [4, 2], "\(place).alpha": []]))
    }

    @Test func tellsWhatAnAdapterIs() throws {
        func summary(_ name: String) throws -> AdapterSummary {
            AdapterSummary(try LoRA(contentsOf: LoRAParityTests.file(name)))
        }
        let kohya = try summary("sd1-kohya.safetensors")
        #expect(kohya.forms.map(\.name) == ["LoRA"] && kohya.ranks == [4] && kohya.alphas == [2] && kohya.types == ["F16"])
        #expect(kohya.parts.map(\.name).sorted() == ["text_encoder", "unet"] && kohya.keys == ["kohya"])
        #expect(kohya.family == "a model with states of 32 numbers")
        #expect(try summary("sd1-locon.safetensors").forms.map(\.name).sorted() == ["LoCon", "LoRA"])
        #expect(try summary("sd1-lokr-tucker.safetensors").forms.map(\.name) == ["LoKr"])
        #expect(try summary("sd1-loha-dora.safetensors").forms.map(\.name) == ["DoRA (LoHa)"])
        #expect(try summary("sd1-full.safetensors").ranks == [])
        #expect(try summary("sd1-glora.safetensors").forms.map(\.name) == ["GLoRA"])
        #expect(try summary("sd1-ia3.safetensors").forms.map(\.name) == ["IA³"])
        #expect(try summary("sd1-diffusers-alpha.safetensors").alphas == [8])
        #expect(try summary("sd1-peft.safetensors").keys == ["peft"])
        #expect(try summary("sd1-onetrainer.safetensors").unknownKeys == ["bundle_emb.toy.clip_l"])
        #expect(try summary("sdxl-all.safetensors").parts.map(\.name).contains("text_encoder_2"))
        let tagged = try loaded(
            Self.file(
                ["\(Self.place).diff": [4, 4]],
                metadata: [
                    "ss_tag_frequency": "{\"10_cat\": {\"cat\": 3, \"sitting \": 1}, \"b\": {\"cat\": 2}}",
                    "ss_output_name": "cats",
                    "ss_base_model_version": "sd_v1", "sshs_model_hash": String(repeating: "AB", count: 32),
                ]))
        let read = AdapterSummary(tagged)
        #expect(read.tags.map { "\($0.tag) \($0.count)" } == ["cat 5", "sitting 1"])
        #expect(read.title == "cats" && read.baseModel == "sd_v1" && read.shortHash == "abababababab")
    }
}
