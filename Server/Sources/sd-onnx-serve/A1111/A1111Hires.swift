import SDPipeline

/// The second pass ("hires fix") that `txt2img` is asked for.
struct A1111Hires: Encodable {
    var scale = 2.0
    var upscaler: String?
    var steps = 0
    /// Pixels, 0 for what follows from the proportions; where both are 0 the scale counts.
    var resizeX = 0
    var resizeY = 0
    var samplerName: String?
    var scheduler: String?
    var prompt = ""
    var negativePrompt = ""
    /// A field of that program's descendants.
    var cfg: Double?
    var checkpointName: String?
    /// The size of the first pass, 0 for that of the request: an old form, in which the request's size is that of the second pass.
    var firstWidth = 0
    var firstHeight = 0
    /// Whether the request says how large the second pass is.
    private let statesSize: Bool

    private enum CodingKeys: String, CodingKey {
        case scale = "hr_scale"
        case upscaler = "hr_upscaler"
        case steps = "hr_second_pass_steps"
        case resizeX = "hr_resize_x"
        case resizeY = "hr_resize_y"
        case samplerName = "hr_sampler_name"
        case scheduler = "hr_scheduler"
        case prompt = "hr_prompt"
        case negativePrompt = "hr_negative_prompt"
        case cfg = "hr_cfg"
        case checkpointName = "hr_checkpoint_name"
        case firstWidth = "firstphase_width"
        case firstHeight = "firstphase_height"
    }

    /// Nil where none is asked for.
    ///
    /// - Parameter model: of the first pass.
    /// - Throws: ``APIError`` with the field that is wrong.
    init?(_ fields: RequestFields, model: ServedModel, _ services: Services) throws {
        guard try fields.flag("enable_hr") == true else { return nil }
        let limits = services.limits
        let stated = try fields.number("hr_scale", in: 1...SecondPass.largestScale)
        scale = stated ?? 2
        upscaler = try fields.text("hr_upscaler")
        steps = try fields.integer("hr_second_pass_steps", in: 0...limits.steps) ?? 0
        resizeX = try fields.integer("hr_resize_x", in: 0...PictureSizes.largest) ?? 0
        resizeY = try fields.integer("hr_resize_y", in: 0...PictureSizes.largest) ?? 0
        statesSize = stated != nil || resizeX > 0 || resizeY > 0
        func other(than same: String, _ name: String) throws -> String? {
            try fields.text(name).flatMap { $0.isEmpty || $0.lowercased() == same ? nil : $0 }
        }
        samplerName = try other(than: "use same sampler", "hr_sampler_name")
        scheduler = try other(than: "use same scheduler", "hr_scheduler")
        prompt = try fields.text("hr_prompt", atMost: limits.prompt) ?? ""
        negativePrompt = try fields.text("hr_negative_prompt", atMost: limits.prompt) ?? ""
        cfg = try fields.number("hr_cfg", in: 0...100)
        checkpointName = try fields.text("hr_checkpoint_name")
        if let name = try other(than: "use same checkpoint", "hr_checkpoint_name"),
            (try? A1111Options.model(name, services)) !== model
        {
            throw APIError.invalid(
                "hr_checkpoint_name",
                "hr_checkpoint_name is \"\(name.prefix(60))\", and both passes are of one model here, \"\(model.name)\".")
        }
        firstWidth = try fields.integer("firstphase_width", in: 0...PictureSizes.largest) ?? 0
        firstHeight = try fields.integer("firstphase_height", in: 0...PictureSizes.largest) ?? 0
        guard (firstWidth == 0) == (firstHeight == 0) else {
            let name = firstWidth == 0 ? "firstphase_width" : "firstphase_height"
            throw APIError.invalid(name, "\(name) is missing, expected the other side of the first pass, too.")
        }
    }

    /// Takes the size of the request for that of the second pass, where the first pass has its own.
    mutating func takeSize(_ width: inout Int, _ height: inout Int) {
        guard firstWidth > 0 else { return }
        if !statesSize { (resizeX, resizeY) = (width, height) }
        (width, height) = (firstWidth, firstHeight)
    }

    /// - Parameters:
    ///   - strength: the request's.
    ///   - sampler: that of the first pass, as is the next.
    /// - Throws: ``APIError`` with the field that is wrong.
    func pass(strength: Double, sampler: String, schedule: String?, _ services: Services) throws -> SecondPass {
        var pass = SecondPass(
            scale: scale, strength: strength, steps: steps == 0 ? nil : steps,
            upscaler: try services.upscalers.ofSecondPass(upscaler ?? LatentUpscaling.bilinear.webUIName, field: "hr_upscaler"))
        pass.width = resizeX == 0 ? nil : resizeX
        pass.height = resizeY == 0 ? nil : resizeY
        if samplerName != nil || scheduler != nil {
            pass.scheduler = try A1111Sampler.scheduler(
                samplerName ?? sampler, schedule: scheduler ?? schedule, fields: ("hr_sampler_name", "hr_scheduler"))
        }
        pass.prompt = prompt.isEmpty ? nil : prompt
        pass.negativePrompt = negativePrompt.isEmpty ? nil : negativePrompt
        pass.guidanceScale = cfg
        return pass
    }
}
