import Foundation
import SDPipeline

/// What OpenAI's image API is asked for, with fields of this field's programs beside it.
struct OpenAIRequest {
    /// How pictures are given.
    enum Form: String, CaseIterable {
        case url
        case base64 = "b64_json"
    }

    let prompt: String
    let count: Int
    let size: (width: Int, height: Int)?
    let form: Form
    let encoding: PictureEncoding
    let isStream: Bool
    /// Pictures on the way, of a stream.
    let partialImages: Int
    private(set) var job: JobRequest

    private static let fieldNames = FieldNames(width: "size", height: "size", batch: "n")

    /// - Throws: ``APIError`` with the field that is wrong.
    init(_ fields: OpenAIFields, _ services: Services, picture: OpenAIPicture? = nil) throws {
        let limits = services.limits
        guard let prompt = try fields.text("prompt", atMost: min(limits.prompt, 32_000)), !prompt.isEmpty else {
            throw APIError.invalid("prompt", "prompt is missing, expected what the picture shows.")
        }
        self.prompt = prompt
        let model = try Self.model(try fields.text("model"), services)
        count = try fields.integer("n", in: 1...min(10, limits.batch)) ?? 1
        size = try Self.size(try fields.text("size"))
        form = try Self.choice(fields, "response_format", Form.self) ?? .base64
        encoding = try Self.encoding(fields)
        if let background = try fields.text("background"), background == "transparent" {
            throw APIError.invalid(
                "background", "background is transparent, which this server can't make: expected opaque or auto.")
        }
        isStream = try fields.flag("stream") ?? false
        partialImages = try fields.integer("partial_images", in: 0...3) ?? 0
        var request = GenerationRequest(prompt: prompt)
        request.promptSyntax = .a1111
        request.negativePrompt = try fields.text("negative_prompt", atMost: limits.prompt)
        (request.width, request.height) = (size?.width, size?.height)
        request.steps = try fields.integer("steps", in: 1...limits.steps) ?? min(model.defaultSteps, limits.steps)
        request.guidanceScale = try fields.number("cfg_scale", in: 0...100)
        let seed = try fields.integer("seed", in: -1...(1 << 53)) ?? -1
        request.seed = seed >= 0 ? UInt64(seed) : UInt64(UInt32.random(in: .min ... .max))
        request.batchCount = count
        request.scheduler = try fields.text("scheduler").flatMap { $0.isEmpty ? nil : $0 }
        request.clipSkip = services.models.clipSkip
        request.loraWeights = try fields.adapters("lora", services.models.adapters)
        try EvaluationFields.read(fields, into: &request)
        request.secondPass = try HiresFields.read(fields, hasPicture: picture != nil, services)
        if isStream, partialImages > 0 {
            let steps = request.steps + (request.secondPass.map { $0.steps ?? request.steps } ?? 0)
            let interval = max((steps + partialImages) / (partialImages + 1), 1)
            request.livePreview = LivePreview(interval: interval, method: .vae)
        }
        if let picture {
            request.initialImage = picture.image
            request.inputFiles.initialImage = picture.file
            request.strength = try fields.number("strength", in: 0...1) ?? (picture.mask == nil ? 0.75 : 1)
            request.inpainting = picture.mask.map { Inpainting(mask: $0) }
        }
        job = try JobRequest(
            model: model, request: request, fields: Self.fieldNames, services, api: "openai")
        job.encoding = encoding
    }

    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ fields: OpenAIFields, _ name: String, _ type: Choice.Type
    ) throws -> Choice? where Choice.RawValue == String {
        guard let text = try fields.text(name), !text.isEmpty else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw APIError.invalid(name, "\(name) is \"\(text.prefix(40))\", expected one of \(known).")
        }
        return choice
    }

    private static func encoding(_ fields: OpenAIFields) throws -> PictureEncoding {
        if try fields.text("output_format") == "webp" {
            throw APIError.invalid(
                "output_format", "output_format is webp, which this server doesn't write: expected png or jpeg.")
        }
        return PictureEncoding(
            format: try choice(fields, "output_format", PictureEncoding.Format.self) ?? .png,
            quality: max(try fields.integer("output_compression", in: 0...100) ?? 100, 1))
    }

    private static func size(_ text: String?) throws -> (width: Int, height: Int)? {
        guard let text, !text.isEmpty, text != "auto" else { return nil }
        let parts = text.lowercased().split(separator: "x").map { Int($0) }
        guard parts.count == 2, let width = parts[0], let height = parts[1], width > 0, height > 0,
            width <= PictureSizes.largest, height <= PictureSizes.largest
        else {
            throw APIError.invalid(
                "size", "size is \"\(text.prefix(40))\", expected a width and a height such as 512x512, or auto.")
        }
        return (width, height)
    }

    /// The model of a name. Clients that can't be told of others send those of OpenAI's own, which stand for the default.
    private static func model(_ name: String?, _ services: Services) throws -> ServedModel {
        guard let name, !name.isEmpty else { return services.models.chosen }
        if let model = services.models.model(name) { return model }
        if ["dall-e", "gpt-image", "chatgpt-image"].contains(where: name.lowercased().hasPrefix) {
            return services.models.chosen
        }
        let known = services.models.models.map { "\"\($0.name)\"" }.joined(separator: ", ")
        throw APIError(
            .notFound, "There is no model \"\(name.prefix(60))\", expected one of \(known).", field: "model",
            code: "model_not_found")
    }
}

/// A picture that is to be edited, and which part of it.
struct OpenAIPicture {
    let image: RGBImage
    let file: InputFiles.File
    /// Nil for all of it.
    let mask: PictureMask?

    /// - Throws: ``APIError`` with the field that is wrong.
    init(_ form: MultipartForm, _ reader: PictureReader) throws {
        let images = form.files("image")
        guard let bytes = images.first else { throw APIError.invalid("image", "image is missing, expected a picture's file.") }
        guard images.count == 1 else {
            throw APIError.invalid("image", "\(images.count) pictures are to be edited, expected one.")
        }
        let source = try reader.source(bytes, field: "image")
        let (image, opacity) = try reader.withOpacity(source, field: "image")
        self.image = image
        file = InputFiles.File(path: "image", bytes: bytes)
        guard let maskBytes = form.files("mask").first else {
            mask = try opacity.map { try Self.mask($0, image, field: "image") }
            return
        }
        let (maskImage, maskOpacity) = try reader.withOpacity(try reader.source(maskBytes, field: "mask"), field: "mask")
        guard (maskImage.width, maskImage.height) == (image.width, image.height) else {
            throw APIError.invalid(
                "mask",
                "mask has \(maskImage.width)×\(maskImage.height) pixels, expected \(image.width)×\(image.height), those of image."
            )
        }
        guard let maskOpacity else {
            throw APIError.invalid(
                "mask", "mask has no transparency, expected a PNG that is transparent where the picture is to change.")
        }
        mask = try Self.mask(maskOpacity, image, field: "mask")
    }

    /// What is transparent is repainted.
    private static func mask(_ opacity: [UInt8], _ image: RGBImage, field: String) throws -> PictureMask {
        let mask = try PictureMask(width: image.width, height: image.height, values: opacity.map { 255 - $0 })
        guard !mask.isEmpty else {
            throw APIError.invalid(field, "\(field) is transparent nowhere, so that nothing would change.")
        }
        return mask
    }
}
