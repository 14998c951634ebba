import SDPipeline

/// The second pass that a request of the own API, or of OpenAI's, asks for, by the names of `sd-onnx generate`'s options.
enum HiresFields {
    /// - Parameter hasPicture: whether the request starts from a picture.
    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ fields: some FieldReader, hasPicture: Bool, _ services: Services) throws -> SecondPass? {
        let limits = services.limits
        let scale = try fields.number("hires", in: 1...SecondPass.largestScale)
        let sides = try ["hires_width", "hires_height"].map { try fields.integer($0, in: 1...PictureSizes.largest) }
        let strength = try fields.number("hires_strength", in: 0...1)
        let steps = try fields.integer("hires_steps", in: 0...limits.steps)
        let guidance = try fields.number("hires_cfg_scale", in: 0...100)
        func text(_ name: String, atMost limit: Int) throws -> String? {
            try fields.text(name, atMost: limit).flatMap { $0.isEmpty ? nil : $0 }
        }
        let upscaler = try text("hires_upscaler", atMost: 200)
        let scheduler = try text("hires_scheduler", atMost: 100)
        let prompt = try text("hires_prompt", atMost: limits.prompt)
        let negativePrompt = try text("hires_negative_prompt", atMost: limits.prompt)
        let isAsked = scale != nil || sides[0] != nil || sides[1] != nil
        guard isAsked else {
            let given = [
                ("hires_strength", strength != nil), ("hires_steps", steps != nil), ("hires_cfg_scale", guidance != nil),
                ("hires_upscaler", upscaler != nil), ("hires_scheduler", scheduler != nil), ("hires_prompt", prompt != nil),
                ("hires_negative_prompt", negativePrompt != nil),
            ]
            if let (name, _) = given.first(where: \.1) {
                throw APIError.invalid(name, "\(name) is for a second pass, which hires asks for, and there is none.")
            }
            return nil
        }
        let field = scale != nil ? "hires" : sides[0] != nil ? "hires_width" : "hires_height"
        guard !hasPicture else {
            throw APIError.invalid(
                field, "\(field) makes pictures from a prompt alone larger, and the request starts from a picture.")
        }
        guard scale == nil || sides[0] == nil && sides[1] == nil else {
            let other = sides[0] != nil ? "hires_width" : "hires_height"
            throw APIError.invalid(other, "hires and \(other) both say how large the picture becomes: give one.")
        }
        var pass = SecondPass(
            scale: scale ?? SecondPass().scale, strength: strength ?? SecondPass().strength, steps: steps == 0 ? nil : steps,
            upscaler: try upscaler.map { try services.upscalers.ofSecondPass($0, field: "hires_upscaler") }
                ?? .latent(.bilinear))
        (pass.width, pass.height) = (sides[0], sides[1])
        (pass.scheduler, pass.guidanceScale) = (scheduler, guidance)
        (pass.prompt, pass.negativePrompt) = (prompt, negativePrompt)
        return pass
    }
}
