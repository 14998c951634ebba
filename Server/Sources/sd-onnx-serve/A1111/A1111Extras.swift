import SDPipeline

/// What `extra-single-image` and `extra-batch-images` are asked for.
struct A1111Extras {
    private let upscaler: SecondPass.Upscaler
    private let second: (upscaler: SecondPass.Upscaler, share: Double)?
    private let size: Enlargement.Size
    private let services: Services

    /// - Throws: ``APIError`` with the field that is wrong.
    init(_ fields: RequestFields, _ services: Services) throws {
        self.services = services
        for name in ["gfpgan_visibility", "codeformer_visibility"] {
            guard try fields.number(name, in: 0...1) ?? 0 == 0 else {
                throw APIError.invalid(name, "\(name) isn't supported by this server.")
            }
        }
        func upscaler(_ name: String) throws -> SecondPass.Upscaler {
            try services.upscalers.ofPicture(try fields.text(name) ?? "None", field: name)
        }
        self.upscaler = try upscaler("upscaler_1")
        let share = try fields.number("extras_upscaler_2_visibility", in: 0...1) ?? 0
        let hasSecond = try (fields.text("upscaler_2") ?? "None").lowercased() != "none"
        second = share > 0 && hasSecond ? (try upscaler("upscaler_2"), share) : nil
        if try fields.integer("resize_mode", in: 0...1) ?? 0 == 0 {
            size = .factor(try fields.number("upscaling_resize", in: 0.01...8) ?? 2)
        } else {
            size = .pixels(
                width: try fields.integer("upscaling_resize_w", in: 1...PictureSizes.largest) ?? 512,
                height: try fields.integer("upscaling_resize_h", in: 1...PictureSizes.largest) ?? 512,
                crops: try fields.flag("upscaling_crop") ?? true)
        }
    }

    /// - Parameters:
    ///   - text: a picture in base64.
    ///   - field: where it comes from, for errors.
    func enlargement(_ text: String, field: String) throws -> Enlargement {
        guard !text.isEmpty else { throw APIError(.notFound, "Image not found") }
        let reader = services.pictures
        let picture = try reader.image(try reader.source(base64: text, field: field), field: field)
        let result = Enlargement(picture: picture, upscaler: upscaler, second: second, size: size)
        let (width, height) = result.enlargedSize
        // A network may make the picture some times larger than what is asked for, before it is resized.
        let limit = result.needsNetwork ? services.limits.pixels : services.limits.inputPixels
        guard width.multipliedReportingOverflow(by: height).overflow == false, width * height <= limit else {
            throw APIError.invalid(
                "upscaling_resize", "The picture would have \(width)×\(height) pixels, at most \(limit) are made.")
        }
        return result
    }
}
