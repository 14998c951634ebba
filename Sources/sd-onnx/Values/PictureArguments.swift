import Foundation
import ONNXLoader
import SDPipeline

/// The options of `generate` that what a picture says stands for.
enum PictureArguments {
    /// Of this program's own picture.
    ///
    /// - Parameters:
    ///   - given: the command with the options beside it, which come before what the picture says.
    ///   - picture: where its file lies; files that it was made from are looked for beside it.
    static func of(_ record: GenerationRecord, beside given: GenerateCommand, picture: String) throws -> [String] {
        var list = OptionList()
        prompts(record.prompt, given, &list)
        if !record.negativePrompt.isEmpty || record.negativePromptIsEmptyText == true {
            list.add("negative-prompt", record.negativePrompt)
        }
        list.add("prompt-syntax", record.promptSyntax)
        list.add("clip-skip", record.clipSkip)
        list.add("blend-prompt", record.promptBlend?.prompt)
        list.add("blend-share", record.promptBlend?.share)
        size(record.width, record.height, given, &list)
        list.add("steps", record.steps)
        list.add("cfg-scale", record.guidanceScale)
        list.add("seed", record.seed)
        list.add("rng", record.noiseSource?.rawValue)
        list.add("variation-seed", record.variationSeed)
        list.add("variation-strength", record.variationStrength)
        if record.batchSeeds == .shared {
            list.add("batch-seeds", record.batchSeeds.rawValue)
            list.add("batch-count", record.batchCount)
        }
        scheduler(record, given, &list)
        let files = FilesBeside(picture: picture)
        try start(record, given, files, &list)
        try parts(record, given, files, picture, &list)
        try controls(record, given, files, picture, &list)
        try secondPass(record.secondPass, given, files, &list)
        list.add("original-size", record.originalSize.map { "\($0.width)x\($0.height)" })
        list.add("crop", record.crop.map { "\($0.x),\($0.y)" })
        list.add("target-size", record.targetSize.map { "\($0.width)x\($0.height)" })
        list.add("aesthetic-score", record.aestheticScore)
        list.add("negative-aesthetic-score", record.negativeAestheticScore)
        list.add("vae-tiling", record.vaeTile)
        if record.isFlagged != nil { list.add(flag: "safety-checker") }
        list.add("tokenizer", record.tokenizer)
        list.add("precision", record.precision)
        list.add("weights", record.weights)
        list.add("half-rounding", record.halfRounding)
        list.add("threads", record.threads)
        if record.savesMemory { list.add(flag: "low-memory") }
        return list.arguments
    }

    /// Of another program's picture, as far as it is understood.
    static func of(_ settings: PictureSettings, beside given: GenerateCommand, picture: String) throws -> [String] {
        var list = OptionList()
        prompts(settings.prompt ?? "", given, &list)
        if let negative = settings.negativePrompt, !negative.isEmpty { list.add("negative-prompt", negative) }
        list.add("prompt-syntax", settings.promptSyntax?.rawValue)
        list.add("clip-skip", settings.clipSkip)
        size(settings.width, settings.height, given, &list)
        list.add("steps", settings.steps)
        list.add("cfg-scale", settings.guidanceScale)
        list.add("seed", settings.seed)
        list.add("rng", settings.noiseSource?.rawValue)
        list.add("variation-seed", settings.variationSeed)
        list.add("variation-strength", settings.variationStrength)
        if given.scheduler == nil {
            list.add("scheduler", settings.scheduler)
            steps(
                settings.eta, settings.churn, settings.churnMinimumSigma, settings.churnMaximumSigma, settings.noiseScale, &list
            )
        }
        try secondPass(settings, given, picture, &list)
        if let strength = settings.strength {
            guard given.start.initImg != nil else {
                throw CommandFailure(
                    "\(picture) was made over another picture, which its file doesn't hold: give it with --init-img.")
            }
            list.add("strength", strength)
        }
        return list.arguments
    }

    private static func prompts(_ prompt: String, _ given: GenerateCommand, _ list: inout OptionList) {
        if given.promptArgument == nil, given.prompt == nil, given.promptFile == nil { list.add("prompt", prompt) }
    }

    private static func size(_ width: Int?, _ height: Int?, _ given: GenerateCommand, _ list: inout OptionList) {
        if given.width == nil { list.add("width", width) }
        if given.height == nil { list.add("height", height) }
    }

    /// The scheduler and its options, which belong to it: with another one none of them is taken.
    private static func scheduler(_ record: GenerationRecord, _ given: GenerateCommand, _ list: inout OptionList) {
        guard given.scheduler == nil, !given.compareSchedulers else { return }
        list.add("scheduler", record.scheduler)
        steps(record.eta, record.churn, record.churnMinimumSigma, record.churnMaximumSigma, record.noiseScale, &list)
        guard given.schedulerOptions.sigmas == nil, given.schedulerOptions.timesteps == nil else { return }
        list.add("sigmas", record.sigmas)
        list.add("sigmas", record.sigmaList.map(OptionList.text))
        list.add("timesteps", record.timesteps.map(OptionList.text))
        let settings = [
            "use_karras_sigmas": "karras", "use_exponential_sigmas": "exponential", "use_beta_sigmas": "beta",
            "use_lu_lambdas": "lu", "use_flow_sigmas": "flow",
        ]
        for (key, value) in record.schedulerOverrides {
            if let name = settings[key], value == .flag(true) { list.add("sigmas", name) }
            if key == "timestep_spacing", case .text(let text) = value { list.add("timestep-spacing", text) }
            if key == "prediction_type", case .text(let text) = value { list.add("prediction", text) }
        }
    }

    private static func steps(
        _ eta: Double?, _ churn: Double?, _ smallest: Double?, _ largest: Double?, _ scale: Double?, _ list: inout OptionList
    ) {
        list.add("eta", eta)
        list.add("s-churn", churn)
        list.add("s-tmin", smallest)
        list.add("s-tmax", largest)
        list.add("s-noise", scale)
    }

    /// What the picture was made over.
    private static func start(
        _ record: GenerationRecord, _ given: GenerateCommand, _ files: FilesBeside, _ list: inout OptionList
    ) throws {
        let options = given.start
        if let strength = record.strength {
            if options.initImg == nil { list.add("init-img", try files.path(of: record.initialImage, option: "--init-img")) }
            list.add("strength", strength)
            list.add("resize", record.resize)
            if options.masking.mask == nil, record.mask != nil || record.maskContent != nil || record.onlyMasked != nil {
                list.add("mask", try files.path(of: record.mask, option: "--mask"))
            }
            list.add("mask-blur", record.maskBlur)
            if record.invertsMask == true { list.add(flag: "invert-mask") }
            list.add("mask-content", record.maskContent)
            list.add("only-masked", record.onlyMasked)
            list.add("outpaint", record.outpaint.map { $0.map(String.init).joined(separator: ",") })
        }
        if let latents = record.initialLatents, options.initLatents == nil {
            list.add("init-latents", try files.path(of: latents, option: "--init-latents"))
        }
    }

    /// The second pass at a larger size, of this program's own picture.
    private static func secondPass(
        _ pass: GenerationRecord.SecondPass?, _ given: GenerateCommand, _ files: FilesBeside, _ list: inout OptionList
    ) throws {
        guard let pass else { return }
        if given.hires.isAsked {
            // What was given is another size.
        } else if pass.statedWidth == nil, pass.statedHeight == nil {
            list.add("hires", pass.scale)
        } else {
            list.add("hires-width", pass.statedWidth)
            list.add("hires-height", pass.statedHeight)
        }
        list.add("hires-strength", pass.strength)
        list.add("hires-steps", pass.steps)
        list.add("hires-scheduler", pass.scheduler)
        list.add("hires-prompt", pass.prompt)
        list.add("hires-negative-prompt", pass.negativePrompt)
        list.add("hires-cfg-scale", pass.guidanceScale)
        guard given.hires.hiresUpscaler == nil else { return }
        let isNetwork = !["lanczos", "nearest"].contains(pass.upscaler) && LatentUpscaling(rawValue: pass.upscaler) == nil
        list.add(
            "hires-upscaler", isNetwork ? try files.path(of: pass.network, option: "--hires-upscaler") : pass.upscaler)
    }

    /// Of another program's.
    private static func secondPass(
        _ settings: PictureSettings, _ given: GenerateCommand, _ picture: String, _ list: inout OptionList
    ) throws {
        guard settings.hasSecondPass else { return }
        if !given.hires.isAsked {
            list.add("hires", settings.hiresScale)
            list.add("hires-width", settings.hiresWidth)
            list.add("hires-height", settings.hiresHeight)
        }
        list.add("hires-strength", settings.hiresStrength)
        list.add("hires-steps", settings.hiresSteps)
        list.add("hires-scheduler", settings.hiresScheduler)
        list.add("hires-prompt", settings.hiresPrompt)
        list.add("hires-negative-prompt", settings.hiresNegativePrompt)
        list.add("hires-cfg-scale", settings.hiresGuidanceScale)
        guard given.hires.hiresUpscaler == nil else { return }
        switch settings.hiresUpscaling {
        case .latent(let upscaling): list.add("hires-upscaler", upscaling.rawValue)
        case .lanczos: list.add("hires-upscaler", "lanczos")
        case .nearest: list.add("hires-upscaler", "nearest")
        case .network, nil:
            let name = (settings.hiresUpscaler ?? "").shortened(to: 80)
            throw CommandFailure("\(picture) was enlarged by \"\(name)\": give the network as --hires-upscaler MODEL.onnx.")
        }
    }

    /// What took part in the U-Net's predictions.
    private static func controls(
        _ record: GenerationRecord, _ given: GenerateCommand, _ files: FilesBeside, _ picture: String, _ list: inout OptionList
    ) throws {
        let freeU = record.freeU.map { [$0.b1, $0.b2, $0.s1, $0.s2] }
        list.add("freeu", freeU.map(OptionList.text))
        // --fast states both in their place.
        if !given.saving.fast {
            list.add("cache", record.stepCaching?.description)
            list.add("cfg-interval", record.guidanceInterval.map { OptionList.text([$0.start, $0.end]) })
        }
        guard given.controlling.controlImage.isEmpty else { return }
        for control in record.controls ?? [] {
            if let name = control.network, given.controlling.control.isEmpty {
                throw CommandFailure(
                    "\(picture) was made with the ControlNet \"\(name)\": give its file or folder with --control.")
            }
            list.add("control-image", try files.path(of: control.image, option: "--control-image"))
            list.add("control-strength", control.strength)
            list.add("control-start", control.start)
            list.add("control-end", control.end)
            list.add("control-preprocess", control.preprocess ?? "none")
            list.add("control-resize", control.resize ?? "stretch")
        }
        if record.controls?.contains(where: { $0.guesses == true }) == true { list.add(flag: "control-guess") }
    }

    /// Other models that took part, of which the picture has names alone.
    private static func parts(
        _ record: GenerationRecord, _ given: GenerateCommand, _ files: FilesBeside, _ picture: String, _ list: inout OptionList
    ) throws {
        let options = given.parts
        for (option, name, isGiven) in [
            ("--vae", record.vae, options.vae != nil), ("--refiner", record.refiner, options.refiner != nil),
        ] {
            if let name, !isGiven {
                throw CommandFailure("\(picture) was made with \"\(name)\" as \(option): give its folder with \(option).")
            }
        }
        if record.refiner != nil { list.add("refiner-start", record.refinerStart) }
        for embedding in record.embeddings ?? [] where !options.learned.embedding.contains(where: { $0.name == embedding.name })
        {
            let path = try files.path(of: embedding.file, option: "--embedding \(embedding.name)=FILE")
            list.add("embedding", "\(embedding.name)=\(path)")
        }
        guard options.adapters.lora.isEmpty, options.adapters.loraDir == nil else { return }
        for adapter in record.loras ?? [] {
            let path = try files.path(of: adapter.file, option: "--lora FILE")
            let (weight, textWeight) = record.ownWeights(of: adapter)
            list.add("lora", "\(path):\(weight):\(textWeight)")
        }
    }
}

/// Options by their long names, with values.
private struct OptionList {
    private(set) var arguments: [String] = []

    /// An empty value is an argument of its own: behind an equals sign it is none.
    mutating func add(_ name: String, _ value: String?) {
        if let value { arguments += value.isEmpty ? ["--\(name)", ""] : ["--\(name)=\(value)"] }
    }

    mutating func add(_ name: String, _ value: (some BinaryInteger)?) { add(name, value.map { "\($0)" }) }

    mutating func add(_ name: String, _ value: Double?) { add(name, value.map { "\($0)" }) }

    mutating func add(flag name: String) { arguments.append("--\(name)") }

    static func text(_ values: [Double]) -> String { values.map { "\($0)" }.joined(separator: ",") }
}

/// Files that a picture was made from, which it knows by name and hash: they are looked for beside it and in the working folder.
private struct FilesBeside {
    let picture: String

    /// The most bytes of a file that is compared.
    private static let mostBytes = 1 << 33

    /// - Throws: ``CommandFailure`` where there is no such file.
    func path(of file: InputFiles.File?, option: String) throws -> String {
        guard let file else {
            throw CommandFailure("\(picture) was made from a file whose name it doesn't say: give it with \(option).")
        }
        let name = file.name.split(separator: "/").last.map(String.init) ?? ""
        let folders = [URL(fileURLWithPath: picture).deletingLastPathComponent().path, "."]
        for folder in folders where !name.isEmpty && name != ".." && name != "." {
            let path = folder == "." ? name : folder + "/" + name
            guard let bytes = try? BoundedFile.read(URL(fileURLWithPath: path), limit: Self.mostBytes),
                InputFiles.File(path: name, bytes: bytes).sha256 == file.sha256
            else { continue }
            return path
        }
        throw CommandFailure(
            "\(picture) was made from \"\(file.name.shortened(to: 200))\" (SHA-256 \(file.sha256.prefix(12))…), and neither its folder nor this one has that file: give it with \(option)."
        )
    }
}
