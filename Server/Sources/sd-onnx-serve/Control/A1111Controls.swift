import SDPipeline

/// ControlNets as clients of AUTOMATIC1111's web interface ask for them, by its extension sd-webui-controlnet: as units in
/// `alwayson_scripts`.
enum A1111Controls {
    static let script = "controlnet"
    static let modules = ["none", "canny"]
    private static let resizeModes: [String: ResizeMode] = [
        "0": .stretch, "Just Resize": .stretch, "Resize": .stretch, "1": .fill, "Crop and Resize": .fill,
        "Scale to Fit (Inner Fit)": .fill, "Inner Fit (Scale to Fit)": .fill, "2": .fit, "Resize and Fill": .fit,
        "Envelope (Outer Fit)": .fit, "Outer Fit (Shrink to Fit)": .fit,
    ]

    /// - Parameters:
    ///   - scripts: the request's `alwayson_scripts`.
    ///   - start: the picture that a unit without one sees.
    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ scripts: RequestFields, start: String?, _ services: Services) throws -> [Control] {
        let field = "alwayson_scripts"
        // Without ControlNets there is no such script.
        let isKnown: (String) -> Bool = { $0.lowercased() == script && !services.controls.networks.isEmpty }
        if let name = scripts.names.sorted().first(where: { !isKnown($0) }) {
            throw APIError(.unprocessableContent, "always on script \(name.prefix(60)) not found", field: field)
        }
        guard let name = scripts.names.first, let content = try scripts.object(name) else { return [] }
        let units = try content.objects("args", atMost: ControlFields.most) ?? []
        return try units.enumerated().compactMap { index, unit in
            try control(unit, field: "\(field).\(name).args.\(index)", start: start, services)
        }
    }

    private static func control(_ unit: RequestFields, field: String, start: String?, _ services: Services) throws -> Control? {
        guard try unit.flag("enabled") ?? true else { return nil }
        let given = try unit.isText("image") ? unit.longText("image") : unit.object("image")?.longText("image")
        let image = try [given, try unit.longText("input_image"), start].compactMap(\.self).first { !$0.isEmpty }
        guard let image else {
            throw APIError.invalid("\(field).image", "\(field).image is missing, expected a picture in base64.")
        }
        if try unit.longText("mask")?.isEmpty == false {
            throw APIError.invalid("\(field).mask", "\(field).mask isn't supported by this server.")
        }
        var control = try ControlFields.control(image, field: "\(field).image", services)
        // Clients put the hash behind the name.
        let model = try unit.text("model") ?? "None"
        let name = model.hasSuffix("]") ? String(model.prefix { $0 != "[" }).trimmingSpaces : model
        control.network = try services.controls.network(name, field: "\(field).model")
        control.strength = try unit.number("weight", in: ControlFields.strengths) ?? 1
        control.start = try unit.number("guidance_start", in: 0...1) ?? 0
        control.end = try unit.number("guidance_end", in: 0...1) ?? 1
        try ControlFields.checkShares(control, field: "\(field).guidance_start")
        let mode =
            try unit.isText("resize_mode") ? unit.text("resize_mode") : unit.integer("resize_mode", in: 0...2).map(String.init)
        guard let resize = resizeModes[mode ?? "1"] else {
            throw APIError.invalid(
                "\(field).resize_mode",
                "\(field).resize_mode is \"\(mode?.prefix(40) ?? "")\", expected \"Just Resize\", \"Crop and Resize\" or \"Resize and Fill\"."
            )
        }
        control.resizeMode = resize
        control.preprocessing = try preprocessing(unit, field: field)
        let balance =
            try unit.isText("control_mode")
            ? unit.text("control_mode") : unit.integer("control_mode", in: 0...2).map(String.init)
        guard [nil, "0", "Balanced"].contains(balance) else {
            throw APIError.invalid(
                "\(field).control_mode",
                "\(field).control_mode is \"\(balance?.prefix(40) ?? "")\", and \"Balanced\" alone is supported.")
        }
        return control
    }

    private static func preprocessing(_ unit: RequestFields, field: String) throws -> ControlPreprocessing {
        switch try (unit.text("module") ?? "none").lowercased() {
        case "none", "": return .none
        case "canny":
            // As there, thresholds below 0 are the standard ones.
            func threshold(_ name: String, _ standard: Double) throws -> Double {
                let value = try unit.number(name, in: -1...1e6) ?? -1
                return value < 0 ? standard : value
            }
            let (low, high) = (try threshold("threshold_a", 100), try threshold("threshold_b", 200))
            guard low <= high else {
                throw APIError.invalid(
                    "\(field).threshold_a", "\(field).threshold_a is \(low), above threshold_b, which is \(high).")
            }
            return .canny(low: low, high: high)
        case let name:
            throw APIError.invalid("\(field).module", "\(field).module is \"\(name.prefix(40))\", expected none or canny.")
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
