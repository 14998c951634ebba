import SDPipeline

/// What the server has and takes.
struct InfoAnswer: Encodable {
    struct Model: Encodable {
        let name: String
        let family: String
        let width: Int
        let height: Int
        let multiple: Int
        let isFixedSize: Bool
        let steps: Int
        let guidance: Double
        let needsPicture: Bool
        let needsMask: Bool
        let isChosen: Bool

        private enum CodingKeys: String, CodingKey {
            case name, family, width, height, multiple, steps
            case isFixedSize = "fixed_size"
            case guidance = "cfg_scale"
            case needsPicture = "needs_picture"
            case needsMask = "needs_mask"
            case isChosen = "chosen"
        }
    }

    struct Limits: Encodable {
        let pixels, steps, batch, queue, body, prompt: Int
        let keepSeconds: Double

        private enum CodingKeys: String, CodingKey {
            case pixels, steps, batch, queue, body, prompt
            case keepSeconds = "keep_seconds"
        }
    }

    let version = ProgramVersion.current
    let models: [Model]
    let schedulers: [String]
    /// The names that requests may have.
    let loras: [String]
    let controls: [String]
    /// What can enlarge pictures for a second pass.
    let upscalers: [String]
    let limits: Limits

    init(_ services: Services) {
        let chosen = services.models.chosen
        models = services.models.models.map { model in
            let configuration = model.configuration
            let sizes = configuration.sizes
            return Model(
                name: model.name, family: configuration.familyName, width: sizes.defaultWidth, height: sizes.defaultHeight,
                multiple: sizes.multiple, isFixedSize: sizes.fixedWidth != nil, steps: model.defaultSteps,
                guidance: configuration.defaultGuidanceScale, needsPicture: configuration.needsPicture,
                needsMask: configuration.isInpaintingModel, isChosen: model === chosen)
        }
        schedulers = SchedulerRegistry.standard.descriptors.filter { [.diffusion, .consistency].contains($0.modelKind) }
            .map(\.shortName)
        controls = services.controls.names
        upscalers = services.upscalers.secondPassNames
        loras = services.models.adapters.entries.map(\.name)
        let limits = services.limits
        self.limits = Limits(
            pixels: limits.pixels, steps: limits.steps, batch: limits.batch, queue: limits.queue, body: limits.body,
            prompt: limits.prompt, keepSeconds: services.queue.keepSeconds)
    }
}
