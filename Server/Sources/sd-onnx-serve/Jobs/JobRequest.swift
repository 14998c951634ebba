import SDPipeline

/// What becomes of a job whose client has gone.
enum DisconnectPolicy: String, Sendable, CaseIterable, Codable {
    /// It is done all the same, and its result kept for a while.
    case keep
    /// It ends.
    case cancel
}

/// A part of a job.
enum JobTask: Sendable {
    /// A run of a model.
    case pictures(GenerationRequest)
    /// A picture made larger by a network.
    case enlargement(Enlargement)
}

/// What a job makes: one part after another.
struct JobRequest: Sendable {
    let model: ServedModel
    /// More than one where a client asks for several rounds, or gives several pictures.
    let tasks: [JobTask]
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
        model: ServedModel, request: GenerationRequest, rounds: Int = 1, fields: FieldNames = FieldNames(),
        _ services: Services, api: String
    ) throws {
        let limits = services.limits
        try fields.check(request, rounds: rounds, model: model, limits: limits)
        adapters = try AdapterFields.names(in: request, fields: fields, services.models.adapters)
        // LoRAs change neither what can be made nor its size, and reading them takes longer than a client waits for this.
        var plain = request
        plain.loraWeights = []
        plain.prompt = try LoRATag.taken(from: request.prompt).prompt
        plain.secondPass?.prompt = try request.secondPass?.prompt.map { try LoRATag.taken(from: $0).prompt }
        let plan = try services.withoutPaths(request) { try model.configuration.plan(for: plain) }
        let (first, last) = (plan.width * plan.height, plan.finalSize.width * plan.finalSize.height)
        guard first <= limits.pixels, last <= limits.pixels else {
            let (width, height) = first > limits.pixels ? (plan.width, plan.height) : plan.finalSize
            throw APIError.invalid(
                first > limits.pixels ? fields.width : fields.hires,
                "The picture has \(width)×\(height) pixels, at most \(limits.pixels) are made.")
        }
        self.model = model
        self.api = api
        tasks = (0..<rounds).map { round in
            var next = request
            // Of variations the seed stays, and the other one goes on.
            if let variation = request.variation {
                next.variation?.seed = variation.seed &+ UInt64(round * request.batchCount)
            } else {
                next.seed = request.seed &+ UInt64(round * request.batchCount)
            }
            return .pictures(next)
        }
    }

    /// - Parameter model: what the server has for other jobs; it isn't loaded for this one.
    init(enlarging pictures: [Enlargement], model: ServedModel, api: String) {
        self.model = model
        self.api = api
        (tasks, adapters) = (pictures.map { .enlargement($0) }, [])
    }

    /// The first run of a model; nil where there is none.
    var firstRequest: GenerationRequest? {
        if case .pictures(let request)? = tasks.first { request } else { nil }
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
    var hires = "hires"
    var hiresSteps = "hires_steps"
    var hiresScheduler = "hires_scheduler"
    var hiresPrompt = "hires_prompt"

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
        if let pass = request.secondPass {
            let more = pass.steps ?? request.steps
            guard request.steps + more <= limits.steps else {
                throw APIError.invalid(
                    pass.steps == nil ? steps : hiresSteps,
                    "The two passes have \(request.steps) and \(more) steps, at most \(limits.steps) are taken in all.")
            }
            if let name = pass.scheduler {
                do { try SchedulerRegistry.standard.check(name) } catch { throw APIError.invalid(hiresScheduler, "\(error)") }
            }
        }
        if let share = request.strength, !(0...1).contains(share) {
            throw APIError.invalid(strength, "\(strength) is \(share), expected a number from 0 to 1.")
        }
        if let inpainting = request.inpainting, inpainting.mask.isEmpty, !inpainting.invertsMask {
            throw APIError.invalid(mask, "\(mask) marks nothing to repaint.")
        }
    }
}
