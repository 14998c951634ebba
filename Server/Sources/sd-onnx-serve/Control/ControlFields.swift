import SDPipeline

/// The ControlNets that a request of the own API names, with their pictures.
enum ControlFields {
    /// More at once are a mistake.
    static let most = 8
    static let strengths = -100.0...100.0

    /// The field `controls`: a list of objects.
    ///
    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ fields: RequestFields, _ services: Services) throws -> [Control] {
        let guesses = try fields.flag("control_guess") ?? false
        return try (try fields.objects("controls", atMost: most) ?? []).enumerated().map { index, object in
            let path = "controls.\(index)"
            let network = try object.text("network").flatMap { $0.isEmpty ? nil : $0 }
            guard let image = try object.longText("image"), !image.isEmpty else {
                throw APIError.invalid("\(path).image", "\(path).image is missing, expected a picture in base64.")
            }
            var control = try control(image, field: "\(path).image", services)
            control.network = try network.map { try services.controls.network($0, field: "\(path).network") }
            control.strength = try object.number("strength", in: strengths) ?? 1
            control.start = try object.number("start", in: 0...1) ?? 0
            control.end = try object.number("end", in: 0...1) ?? 1
            try checkShares(control, field: "\(path).start")
            control.resizeMode = try object.choice("resize", ResizeMode.self) ?? .stretch
            control.preprocessing = try preprocessing(try object.text("preprocess") ?? "none", field: "\(path).preprocess")
            control.guesses = guesses
            return control
        }
    }

    /// A picture that a ControlNet sees.
    static func control(_ base64: String, field: String, _ services: Services) throws -> Control {
        let source = try services.pictures.source(base64: base64, field: field)
        return Control(
            image: try services.pictures.image(source, field: field), file: InputFiles.File(path: field, bytes: source.bytes))
    }

    static func checkShares(_ control: Control, field: String) throws {
        guard control.start < control.end else {
            throw APIError.invalid(
                field, "\(field) is \(control.start) and the end \(control.end), expected a start below the end.")
        }
    }

    /// `none`, `canny`, or `canny:LOW,HIGH`.
    private static func preprocessing(_ text: String, field: String) throws -> ControlPreprocessing {
        switch text {
        case "none": return .none
        case "canny": return .standardCanny
        default:
            let numbers = text.hasPrefix("canny:") ? text.dropFirst(6).split(separator: ",").map { Double($0) } : []
            if numbers.count == 2, let low = numbers[0], let high = numbers[1], low >= 0, low <= high, high.isFinite {
                return .canny(low: low, high: high)
            }
            throw APIError.invalid(
                field,
                "\(field) is \"\(text.prefix(40))\", expected none, canny, or canny with two thresholds, the lower first, such as canny:100,200."
            )
        }
    }
}

extension GenerationRequest {
    /// Runs `body`, in whose errors the names that clients know stand for ControlNets' files.
    func withoutControlPaths<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as PipelineError {
            var message = error.message
            for network in controls.compactMap(\.network) {
                message = message.replacing(network.path, with: "\"\(network.deletingPathExtension().lastPathComponent)\"")
            }
            throw PipelineError(message, kind: error.kind)
        }
    }
}
