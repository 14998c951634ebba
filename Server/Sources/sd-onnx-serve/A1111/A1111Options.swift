import Synchronization

/// The settings of AUTOMATIC1111's web interface that have a meaning here, for all of its API's clients together.
final class A1111Options: Sendable {
    struct Values: Sendable, Equatable {
        var format = PictureEncoding.Format.png
        var jpegQuality = 80
        var showsPreviews = true
        var previewInterval = 1
        /// The share of a run before the negative prompt counts.
        var unguidedShare = 0.0
    }

    private let content = Mutex(Values())
    var values: Values { content.withLock { $0 } }

    /// Takes the fields that are known; those that aren't are left alone, since clients send the whole object back.
    ///
    /// - Throws: ``APIError`` for a known field with a value that isn't taken, in which case nothing changes.
    func set(_ fields: RequestFields, _ services: Services) throws {
        let model = try fields.text("sd_model_checkpoint").map { try Self.model($0, services) }
        let values = try Self.read(fields, over: values)
        let clipSkip = try fields.integer("CLIP_stop_at_last_layers", in: 1...64)
        if let model { services.models.choose(model) }
        if let clipSkip { services.models.clipSkip = clipSkip == 1 ? nil : clipSkip }
        content.withLock { $0 = values }
    }

    static func read(_ fields: RequestFields, over values: Values) throws -> Values {
        var values = values
        if let format = try fields.text("samples_format") {
            switch format.lowercased() {
            case "png": values.format = .png
            case "jpg", "jpeg": values.format = .jpeg
            default:
                throw APIError.invalid("samples_format", "samples_format is \"\(format.prefix(20))\", expected png or jpg.")
            }
        }
        if let quality = try fields.integer("jpeg_quality", in: 1...100) { values.jpegQuality = quality }
        if let shows = try fields.flag("live_previews_enable") { values.showsPreviews = shows }
        if let interval = try fields.integer("show_progress_every_n_steps", in: -1...1000) {
            values.previewInterval = max(interval, 1)
            if interval < 1 { values.showsPreviews = false }
        }
        if let share = try fields.number("skip_early_cond", in: 0...1) {
            guard share < 1 else {
                throw APIError.invalid("skip_early_cond", "skip_early_cond is 1, expected a share of the run below 1.")
            }
            values.unguidedShare = share
        }
        return values
    }

    /// A model by its title, its name or its hash.
    static func model(_ name: String, _ services: Services) throws -> ServedModel {
        if name.isEmpty { return services.models.chosen }
        // A title may have the hash behind the name.
        let plain = name.split(separator: " [").first.map(String.init) ?? name
        guard let model = services.models.model(name) ?? services.models.model(plain) else {
            throw APIError(
                .notFound, "There is no model \"\(name.prefix(80))\".", field: "sd_model_checkpoint", code: "unknown_model")
        }
        return model
    }
}

/// All settings, as `GET options` gives them.
struct A1111OptionsAnswer: Encodable {
    let values: A1111Options.Values
    let model: ServedModel
    let clipSkip: Int?

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(A1111Model(model).title, forKey: Key("sd_model_checkpoint"))
        try container.encode(model.sha256, forKey: Key("sd_checkpoint_hash"))
        try container.encode("Automatic", forKey: Key("sd_vae"))
        try container.encode(clipSkip ?? 1, forKey: Key("CLIP_stop_at_last_layers"))
        try container.encode(values.format == .png ? "png" : "jpg", forKey: Key("samples_format"))
        try container.encode(values.jpegQuality, forKey: Key("jpeg_quality"))
        try container.encode(values.showsPreviews, forKey: Key("live_previews_enable"))
        try container.encode(values.previewInterval, forKey: Key("show_progress_every_n_steps"))
        try container.encode(values.unguidedShare, forKey: Key("skip_early_cond"))
        try container.encode("Approx cheap", forKey: Key("show_progress_type"))
        try container.encode("CPU", forKey: Key("randn_source"))
        for name in ["samples_save", "grid_save", "return_grid", "do_not_show_images", "return_mask"] {
            try container.encode(false, forKey: Key(name))
        }
        try container.encode(true, forKey: Key("enable_pnginfo"))
        try container.encode("None", forKey: Key("sd_lora"))
    }
}
