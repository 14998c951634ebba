import SDPipeline

/// What becomes of a job whose client has gone.
enum DisconnectPolicy: String, Sendable, CaseIterable, Codable {
    /// It is done all the same, and its result kept for a while.
    case keep
    /// It ends.
    case cancel
}

/// What a job makes: one run after another with one model.
struct JobRequest: Sendable {
    let model: ServedModel
    /// A run each; more than one where a client asks for several rounds.
    let requests: [GenerationRequest]
    /// The names of all LoRAs that take part.
    let adapters: [String]
    var encoding = PictureEncoding()
    var disconnect = DisconnectPolicy.keep
    /// Another name that the client has for the job.
    var alias: String?
    /// Which API it came by, for logs and metrics.
    var api: String

    /// Checks all that can be known before a run.
    ///
    /// - Throws: ``APIError`` with the field that is wrong, where it is one.
    init(
        model: ServedModel, request: GenerationRequest, rounds: Int = 1, limits: ServerLimits,
        fields: FieldNames = FieldNames(), adapters store: AdapterStore, api: String
    ) throws {
        try fields.check(request, rounds: rounds, model: model, limits: limits)
        adapters = try AdapterFields.names(in: request, promptField: fields.prompt, store)
        // LoRAs change neither what can be made nor its size, and reading them takes longer than a client waits for this.
        var plain = request
        plain.loraWeights = []
        plain.prompt = try LoRATag.taken(from: request.prompt).prompt
        let plan = try model.configuration.plan(for: plain)
        guard plan.width * plan.height <= limits.pixels else {
            throw APIError.invalid(
                fields.width, "The picture has \(plan.width)×\(plan.height) pixels, at most \(limits.pixels) are made.")
        }
        self.model = model
        self.api = api
        requests = (0..<rounds).map { round in
            var next = request
            // Of variations the seed stays, and the other one goes on.
            if let variation = request.variation {
                next.variation?.seed = variation.seed &+ UInt64(round * request.batchCount)
            } else {
                next.seed = request.seed &+ UInt64(round * request.batchCount)
            }
            return next
        }
    }
}

/// The names that an API has for what a request says, for errors.
struct FieldNames: Sendable {
    var prompt = "prompt"
    var negativePrompt = "negative_prompt"
    var width = "width"
    var height = "height"
    var steps = "steps"
    var guidance = "cfg_scale"
    var scheduler = "scheduler"
    var batch = "count"
    var strength = "strength"
    var mask = "mask"

    /// Refuses what is out of range by the name of its field.
    func check(_ request: GenerationRequest, rounds: Int, model: ServedModel, limits: ServerLimits) throws {
        for (name, text) in [(prompt, request.prompt), (negativePrompt, request.negativePrompt ?? "")]
        where text.count > limits.prompt {
            throw APIError.invalid(name, "\(name) has \(text.count) characters, at most \(limits.prompt) are accepted.")
        }
        guard (1...limits.steps).contains(request.steps) else {
            throw APIError.invalid(steps, "\(steps) is \(request.steps), expected 1 to \(limits.steps).")
        }
        let pictures = rounds * request.batchCount
        guard request.batchCount >= 1, rounds >= 1, pictures <= limits.batch else {
            throw APIError.invalid(batch, "\(pictures) pictures are asked for, expected 1 to \(limits.batch).")
        }
        let sizes = model.configuration.sizes
        for (name, size, fixed) in [(width, request.width, sizes.fixedWidth), (height, request.height, sizes.fixedHeight)] {
            guard let size else { continue }
            if let fixed, size != fixed {
                throw APIError.invalid(name, "\(name) is \(size), expected \(fixed), for which alone the model was exported.")
            }
            guard fixed != nil || size > 0 && size <= PictureSizes.largest && size.isMultiple(of: sizes.multiple) else {
                throw APIError.invalid(name, "\(name) is \(size), expected a multiple of \(sizes.multiple).")
            }
        }
        let (wide, high) = (request.width ?? sizes.defaultWidth, request.height ?? sizes.defaultHeight)
        guard wide * high <= limits.pixels else {
            throw APIError.invalid(width, "The picture has \(wide)×\(high) pixels, at most \(limits.pixels) are made.")
        }
        if let name = request.scheduler {
            do { try SchedulerRegistry.standard.check(name) } catch { throw APIError.invalid(scheduler, "\(error)") }
        }
        if let share = request.strength, !(0...1).contains(share) {
            throw APIError.invalid(strength, "\(strength) is \(share), expected a number from 0 to 1.")
        }
        if let inpainting = request.inpainting, inpainting.mask.isEmpty, !inpainting.invertsMask {
            throw APIError.invalid(mask, "\(mask) marks nothing to repaint.")
        }
    }
}
