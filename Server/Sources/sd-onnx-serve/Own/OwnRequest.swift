import SDPipeline

/// A job as the own API's clients ask for it.
enum OwnRequest {
    /// Settings that a preview takes.
    private static let preview = LivePreview.Method.linear

    /// - Throws: ``APIError`` with the field that is wrong.
    static func job(_ fields: RequestFields, _ services: Services) throws -> JobRequest {
        let limits = services.limits
        guard let prompt = try fields.text("prompt", atMost: limits.prompt) else {
            throw APIError.invalid("prompt", "prompt is missing, expected what the picture shows.")
        }
        let model = try model(fields, services)
        var request = GenerationRequest(prompt: prompt)
        request.promptSyntax = .a1111
        request.negativePrompt = try fields.text("negative_prompt", atMost: limits.prompt)
        request.width = try fields.integer("width", in: 1...PictureSizes.largest)
        request.height = try fields.integer("height", in: 1...PictureSizes.largest)
        request.steps = try fields.integer("steps", in: 1...limits.steps) ?? model.defaultSteps
        request.guidanceScale = try fields.number("cfg_scale", in: 0...100)
        request.seed = try seed(fields, "seed")
        request.batchCount = try fields.integer("count", in: 1...limits.batch) ?? 1
        request.scheduler = try fields.text("scheduler", atMost: 100).flatMap { $0.isEmpty ? nil : $0 }
        request.clipSkip = try fields.integer("clip_skip", in: 1...64) ?? services.models.clipSkip
        request.loraWeights = try AdapterFields.read(fields, "lora", services.models.adapters)
        let interval = try fields.integer("preview_every", in: 0...limits.steps) ?? 0
        if interval > 0 { request.livePreview = LivePreview(interval: interval, method: preview) }
        try picture(fields, services, into: &request)
        try EvaluationFields.read(fields, into: &request)
        request.controls = try ControlFields.read(fields, services)
        request.secondPass = try HiresFields.read(fields, hasPicture: request.initialImage != nil, services)
        var job = try JobRequest(model: model, request: request, services, api: "own")
        job.encoding.format = try fields.choice("format", PictureEncoding.Format.self) ?? .png
        job.encoding.quality = try fields.integer("quality", in: 1...100) ?? 90
        job.disconnect = try fields.choice("on_disconnect", DisconnectPolicy.self) ?? .keep
        return job
    }

    private static func model(_ fields: RequestFields, _ services: Services) throws -> ServedModel {
        guard let name = try fields.text("model"), !name.isEmpty else { return services.models.chosen }
        guard let model = services.models.model(name) else {
            let known = services.models.models.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw APIError.invalid("model", "model is \"\(name.prefix(60))\", expected one of \(known).")
        }
        return model
    }

    /// A seed of 32 bits; -1, and none, draw one.
    static func seed(_ fields: RequestFields, _ name: String) throws -> UInt64 {
        guard let seed = try fields.integer(name, in: -1...(1 << 53)), seed >= 0 else {
            return UInt64(UInt32.random(in: .min ... .max))
        }
        return UInt64(seed)
    }

    /// What to start from, and what of it is repainted.
    private static func picture(_ fields: RequestFields, _ services: Services, into request: inout GenerationRequest) throws {
        let reader = services.pictures
        guard let text = try fields.longText("init_image"), !text.isEmpty else {
            for name in ["mask", "strength"] where try fields.names.contains(name) && hasValue(fields, name) {
                throw APIError.invalid(name, "\(name) is for a picture to start from, and there is no init_image.")
            }
            return
        }
        let source = try reader.source(base64: text, field: "init_image")
        request.initialImage = try reader.image(source, field: "init_image")
        request.inputFiles.initialImage = InputFiles.File(path: "init_image", bytes: source.bytes)
        request.strength = try fields.number("strength", in: 0...1)
        request.resizeMode = try fields.choice("resize", ResizeMode.self) ?? .stretch
        guard let maskText = try fields.longText("mask"), !maskText.isEmpty else { return }
        let maskSource = try reader.source(base64: maskText, field: "mask")
        guard (maskSource.width, maskSource.height) == (source.width, source.height) else {
            throw APIError.invalid(
                "mask",
                "mask has \(maskSource.width)×\(maskSource.height) pixels, expected \(source.width)×\(source.height), those of init_image."
            )
        }
        var inpainting = Inpainting(mask: try reader.mask(maskSource, field: "mask"))
        inpainting.invertsMask = try fields.flag("invert_mask") ?? false
        inpainting.blur = try fields.number("mask_blur", in: 0...PictureMask.largestBlur) ?? 0
        inpainting.content = try fields.choice("mask_content", MaskContent.self) ?? .original
        inpainting.padding = try fields.integer("only_masked", in: 0...PictureSizes.largest)
        request.inpainting = inpainting
        request.inputFiles.mask = InputFiles.File(path: "mask", bytes: maskSource.bytes)
    }

    private static func hasValue(_ fields: RequestFields, _ name: String) throws -> Bool {
        name == "strength"
            ? try fields.number(name, in: -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude) != nil
            : try fields.longText(name)?.isEmpty == false
    }
}
