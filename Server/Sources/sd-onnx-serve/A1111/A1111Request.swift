import Foundation
import SDPipeline

/// What `txt2img` and `img2img` are asked for, as far as it means something here. Encoded, it is the answer's `parameters`.
struct A1111Request: Encodable {
    var prompt = ""
    var negativePrompt = ""
    var styles: [String] = []
    var seed = -1
    var subseed = -1
    var subseedStrength = 0.0
    var seedResizeFromH = -1
    var seedResizeFromW = -1
    var samplerName: String?
    var samplerIndex = "Euler"
    var scheduler: String?
    var batchSize = 1
    var nIter = 1
    var steps = 50
    var cfgScale = 7.0
    var width: Int
    var height: Int
    var restoreFaces = false
    var tiling = false
    var eta: Double?
    var sChurn: Double?
    var sTmin: Double?
    var sTmax: Double?
    var sNoise: Double?
    var denoisingStrength: Double?
    var initImages: [String]?
    var mask: String?
    var maskBlur: Int?
    var inpaintingFill: Int?
    var inpaintFullRes: Bool?
    var inpaintFullResPadding: Int?
    var inpaintingMaskInvert: Int?
    var resizeMode: Int?
    var includeInitImages: Bool?
    var enableHr = false
    /// The second pass; nil for none.
    var hires: A1111Hires?
    var sendImages = true
    var saveImages = false
    var forceTaskId: String?
    /// Settings for this request alone.
    var overrides = Overrides()
    var overrideSettingsRestoreAfterwards = true
    /// Of `alwayson_scripts`.
    var controls: [Control] = []

    struct Overrides: Encodable {
        var model: String?
        var clipSkip: Int?
        var format: String?
        /// All of them.
        var fields: RequestFields?

        private enum CodingKeys: String, CodingKey {
            case model = "sd_model_checkpoint"
            case clipSkip = "CLIP_stop_at_last_layers"
            case format = "samples_format"
        }
    }

    /// - Parameter task: whether there is a picture to start from.
    /// - Throws: ``APIError`` with the field that is wrong.
    init(_ fields: RequestFields, isOverPicture: Bool, _ services: Services) throws {
        let limits = services.limits
        let told = try fields.text("infotext", atMost: 2 * limits.prompt).map { Infotext(parsing: $0) }
        let stated = told.map { PictureSettings($0) }
        let fields = told.map { fields.filled(with: stated?.requestFields($0) ?? [:]) } ?? fields
        overrides.clipSkip = stated?.clipSkip.flatMap { (1...64).contains($0) ? $0 : nil }
        if let settings = try fields.object("override_settings") {
            overrides.fields = settings
            _ = try A1111Options.read(settings, over: A1111Options.Values())
            overrides.model = try settings.text("sd_model_checkpoint")
            overrides.clipSkip = try settings.integer("CLIP_stop_at_last_layers", in: 1...64) ?? overrides.clipSkip
            overrides.format = try settings.text("samples_format")
        }
        overrideSettingsRestoreAfterwards = try fields.flag("override_settings_restore_afterwards") ?? true
        let model = try overrides.model.map { try A1111Options.model($0, services) } ?? services.models.chosen
        let sizes = model.configuration.sizes
        prompt = try fields.text("prompt", atMost: limits.prompt) ?? ""
        negativePrompt = try fields.text("negative_prompt", atMost: limits.prompt) ?? ""
        styles = try fields.texts("styles", atMost: 100) ?? []
        seed = try fields.integer("seed", in: -1...(1 << 53)) ?? -1
        subseed = try fields.integer("subseed", in: -1...(1 << 53)) ?? -1
        // Clients send -1 for none, too.
        subseedStrength = max(try fields.number("subseed_strength", in: -1...1) ?? 0, 0)
        samplerName = try fields.text("sampler_name")
        samplerIndex = try fields.text("sampler_index") ?? "Euler"
        scheduler = try fields.text("scheduler")
        batchSize = try fields.integer("batch_size", in: 1...limits.batch) ?? 1
        nIter = try fields.integer("n_iter", in: 1...limits.batch) ?? 1
        steps = try fields.integer("steps", in: 1...limits.steps) ?? min(50, limits.steps)
        cfgScale = try fields.number("cfg_scale", in: 0...100) ?? 7
        // As there, sizes become the nearest ones that the model makes, after the old form of a second pass has taken its own.
        width = try fields.integer("width", in: 1...PictureSizes.largest) ?? sizes.defaultWidth
        height = try fields.integer("height", in: 1...PictureSizes.largest) ?? sizes.defaultHeight
        hires = isOverPicture ? nil : try A1111Hires(fields, model: model, services)
        hires?.takeSize(&width, &height)
        (width, height) = (sizes.nearestWidth(to: width), sizes.nearestHeight(to: height))
        eta = try fields.number("eta", in: 0...1)
        sChurn = try fields.number("s_churn", in: 0...1e6)
        sTmin = try fields.number("s_tmin", in: 0...1e6)
        sTmax = try fields.number("s_tmax", in: 0...Double.greatestFiniteMagnitude)
        sNoise = try fields.number("s_noise", in: 0...1e3)
        denoisingStrength = try fields.number("denoising_strength", in: 0...1)
        sendImages = try fields.flag("send_images") ?? true
        saveImages = try fields.flag("save_images") ?? false
        forceTaskId = try fields.text("force_task_id", atMost: 200)
        try refuseWhatIsMissing(fields)
        if isOverPicture {
            try readPicture(fields)
        } else {
            enableHr = hires != nil
            denoisingStrength = enableHr ? denoisingStrength ?? 0.75 : nil
        }
        if let scripts = try fields.object("alwayson_scripts") {
            controls = try A1111Controls.read(scripts, start: initImages?.first, services)
        }
    }

    private mutating func readPicture(_ fields: RequestFields) throws {
        let images = try fields.texts("init_images", atMost: 16) ?? []
        guard !images.isEmpty else { throw APIError(.notFound, "Init image not found") }
        guard images.count == 1 else {
            throw APIError.invalid("init_images", "init_images has \(images.count) pictures, expected one.")
        }
        initImages = images
        denoisingStrength = denoisingStrength ?? 0.75
        mask = try fields.longText("mask").flatMap { $0.isEmpty ? nil : $0 }
        maskBlur = try fields.integer("mask_blur", in: 0...Int(PictureMask.largestBlur)) ?? 4
        inpaintingFill = try fields.integer("inpainting_fill", in: 0...3) ?? 0
        inpaintFullRes = try fields.flag("inpaint_full_res") ?? true
        inpaintFullResPadding = try fields.integer("inpaint_full_res_padding", in: 0...PictureSizes.largest) ?? 0
        inpaintingMaskInvert = try fields.flag("inpainting_mask_invert").map { $0 ? 1 : 0 } ?? 0
        resizeMode = try fields.integer("resize_mode", in: 0...3) ?? 0
        includeInitImages = try fields.flag("include_init_images") ?? false
        if let scale = try fields.number("initial_noise_multiplier", in: 0...10), scale != 1 {
            throw APIError.invalid(
                "initial_noise_multiplier", "initial_noise_multiplier is \(scale), and 1 alone is supported.")
        }
    }

    /// Refuses what would change the picture there and is not done here.
    private mutating func refuseWhatIsMissing(_ fields: RequestFields) throws {
        func refuse(_ name: String, _ isWanted: Bool?) throws {
            if isWanted == true { throw APIError.invalid(name, "\(name) isn't supported by this server.") }
        }
        try refuse("restore_faces", try fields.flag("restore_faces"))
        try refuse("tiling", try fields.flag("tiling"))
        try refuse("seed_resize_from_h", try fields.integer("seed_resize_from_h", in: -1...PictureSizes.largest).map { $0 > 0 })
        try refuse("seed_resize_from_w", try fields.integer("seed_resize_from_w", in: -1...PictureSizes.largest).map { $0 > 0 })
        try refuse("refiner_checkpoint", try fields.text("refiner_checkpoint").map { !$0.isEmpty && $0 != "None" })
        try refuse("latent_mask", try fields.longText("latent_mask").map { !$0.isEmpty })
        if let name = try fields.text("script_name"), !name.isEmpty, name != "None" {
            throw APIError(.unprocessableContent, "Script '\(name.prefix(60))' not found", field: "script_name")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case prompt, styles, seed, subseed, scheduler, steps, width, height, tiling, eta, mask
        case negativePrompt = "negative_prompt"
        case subseedStrength = "subseed_strength"
        case seedResizeFromH = "seed_resize_from_h"
        case seedResizeFromW = "seed_resize_from_w"
        case samplerName = "sampler_name"
        case samplerIndex = "sampler_index"
        case batchSize = "batch_size"
        case nIter = "n_iter"
        case cfgScale = "cfg_scale"
        case restoreFaces = "restore_faces"
        case sChurn = "s_churn"
        case sTmin = "s_tmin"
        case sTmax = "s_tmax"
        case sNoise = "s_noise"
        case denoisingStrength = "denoising_strength"
        case initImages = "init_images"
        case maskBlur = "mask_blur"
        case inpaintingFill = "inpainting_fill"
        case inpaintFullRes = "inpaint_full_res"
        case inpaintFullResPadding = "inpaint_full_res_padding"
        case inpaintingMaskInvert = "inpainting_mask_invert"
        case resizeMode = "resize_mode"
        case includeInitImages = "include_init_images"
        case enableHr = "enable_hr"
        case sendImages = "send_images"
        case saveImages = "save_images"
        case forceTaskId = "force_task_id"
        case overrideSettingsRestoreAfterwards = "override_settings_restore_afterwards"
        case overrides = "override_settings"
    }
}
