extension GenerationRecord {
    /// The settings in the form of AUTOMATIC1111's web interface ("infotext"), which other programs read: the prompt, the negative prompt,
    /// and a line of `Key: value` pairs.
    public var parameters: String { infotext.text }

    /// What ``parameters`` says, in parts: keys, order and words as that program writes them, then what it has no key for.
    public var infotext: Infotext {
        let sampler = WebUISampler(self)
        var pairs: [Infotext.Pair] = []
        func add(_ key: String, _ value: String?) { if let value { pairs.append(.init(key, value)) } }
        add("Steps", "\(steps)")
        add("Sampler", sampler.name)
        add("Schedule type", sampler.scheduleType)
        add("CFG scale", Self.text(guidanceScale))
        add("Seed", "\(seed)")
        add("Size", "\(width)x\(height)")
        add("Model hash", modelHash.map { String($0.prefix(10)) })
        add("Model", model)
        add("VAE hash", vaeHash.map { String($0.prefix(10)) })
        add("VAE", vae)
        add("Variation seed", variationSeed.map { "\($0)" })
        add("Variation seed strength", variationStrength.map(Self.text))
        add("Denoising strength", (strength ?? secondPass?.strength).map(Self.text))
        add("Clip skip", clipSkip.map { "\($0)" })
        add("RNG", Self.webUIName(of: noiseSource))
        for pair in (secondPass?.pairs ?? []) + adapterPairs + startPairs + batchPairs + modelPairs + schedulerPairs {
            add(pair.key, pair.value)
        }
        if tokenizer != TokenizerConvention.transformers5.rawValue { add("Tokenizer", tokenizer) }
        if precision != "fp32" { add("Precision", precision) }
        if let weights { add("Weights", weights) }
        if halfRounding != "outputs" { add("Half rounding", halfRounding) }
        add("Version", "\(program) \(version)")
        return Infotext(prompt: prompt + loraTags, negativePrompt: negativePrompt, pairs: pairs)
    }

    /// Where the generator's name isn't said, readers take a GPU's.
    private static func webUIName(of source: NoiseSource?) -> String? {
        switch source ?? .torch {
        case .torch, .cpuA1111: "CPU"
        case .numpy: "NumPy"
        case .cuda, .cudaA1111: "NV"
        }
    }

    /// What was learned and added to the model: hashes of embeddings, of which readers take the first 12 digits.
    private var adapterPairs: [Infotext.Pair] {
        var pairs: [Infotext.Pair] = []
        if let embeddings {
            pairs.append(
                .init("TI hashes", embeddings.map { "\($0.name): \($0.file.sha256.prefix(12))" }.joined(separator: ", ")))
        }
        if let loras {
            pairs.append(.init("Lora hashes", loras.map { "\($0.name): \($0.shortHash)" }.joined(separator: ", ")))
        }
        for (index, control) in (controls ?? []).enumerated() { pairs.append(.init("ControlNet \(index)", control.parameters)) }
        if let freeU {
            pairs.append(.init("FreeU", [freeU.b1, freeU.b2, freeU.s1, freeU.s2].map(Self.text).joined(separator: ",")))
        }
        if let stepCaching { pairs.append(.init("Step cache", stepCaching.description)) }
        if let interval = guidanceInterval {
            pairs.append(.init("CFG interval", [interval.start, interval.end].map(Self.text).joined(separator: ",")))
        }
        return pairs
    }

    /// What the picture was made from.
    private var startPairs: [Infotext.Pair] {
        var pairs: [Infotext.Pair] = []
        func add(_ key: String, _ value: String?) { if let value { pairs.append(.init(key, value)) } }
        if promptSyntax == PromptSyntax.plain.rawValue { add("Prompt syntax", "plain") }
        add("Blend prompt", promptBlend?.prompt)
        add("Blend share", promptBlend.map { Self.text($0.share) })
        add("Init image", initialImage.map { "\($0.name) \($0.sha256)" })
        add("Mask", mask.map { "\($0.name) \($0.sha256)" })
        add("Mask blur", maskBlur.map(Self.text))
        if invertsMask == true { add("Mask mode", "Inpaint not masked") }
        add("Masked content", maskContent)
        if let onlyMasked {
            add("Inpaint area", "Only masked")
            add("Masked area padding", "\(onlyMasked)")
        }
        add("Outpaint", outpaint.map { $0.map(String.init).joined(separator: ",") })
        add("Resize mode", resize)
        add("Init latents", initialLatents.map { "\($0.name) \($0.sha256)" })
        return pairs
    }

    private var batchPairs: [Infotext.Pair] {
        guard batchCount > 1 else { return [] }
        // As there, places begin at 0.
        let pairs = [Infotext.Pair("Batch size", "\(batchCount)"), Infotext.Pair("Batch pos", "\(number - 1)")]
        return pairs + (batchSeeds == .shared ? [Infotext.Pair("Batch seeds", batchSeeds.rawValue)] : [])
    }

    /// What parts of the model did.
    private var modelPairs: [Infotext.Pair] {
        var pairs: [Infotext.Pair] = []
        func add(_ key: String, _ value: String?) { if let value { pairs.append(.init(key, value)) } }
        add("VAE tile", vaeTile.map { "\($0)" })
        add("Refiner", refiner.map { $0 + (refinerHash.map { " [\($0.prefix(10))]" } ?? "") })
        add("Refiner switch at", refinerStart.map(Self.text))
        add("Original size", originalSize.map { "\($0.width)x\($0.height)" })
        add("Crop", crop.map { "\($0.x),\($0.y)" })
        add("Target size", targetSize.map { "\($0.width)x\($0.height)" })
        add("Aesthetic score", aestheticScore.map(Self.text))
        add("Negative aesthetic score", negativeAestheticScore.map(Self.text))
        add("Safety checker", isFlagged.map { $0 ? "flagged" : "passed" })
        add("Evaluations", evaluations.map { "\($0)" })
        return pairs
    }

    private var schedulerPairs: [Infotext.Pair] {
        var pairs: [Infotext.Pair] = []
        let options: [(String, Double?)] = [
            ("Eta", eta), ("Sigma churn", churn), ("Sigma tmin", churnMinimumSigma), ("Sigma tmax", churnMaximumSigma),
            ("Sigma noise", noiseScale),
        ]
        for (key, value) in options { if let value { pairs.append(.init(key, Self.text(value))) } }
        if let sigmas { pairs.append(.init("Sigmas", sigmas)) }
        for (key, list) in [("Sigmas", sigmaList), ("Timesteps", timesteps)] {
            if let list { pairs.append(.init(key, list.map(Self.text).joined(separator: ","))) }
        }
        for (key, value) in schedulerOverrides.sorted(by: { $0.key < $1.key }) {
            pairs.append(.init(key, Self.text(value)))
        }
        return pairs
    }

    static func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }

    private static func text(_ value: SchedulerValue) -> String {
        switch value {
        case .text(let text): text
        case .number(let number): Self.text(number)
        case .numbers(let list): list.map(Self.text).joined(separator: ",")
        default: value.description
        }
    }
}
