import GraphRuntime

extension Resize {
    private static func choice<Choice: RawRepresentable<String>>(
        _ decoder: inout NodeDecoder, _ name: String, default value: String
    ) throws -> Choice {
        let found = try decoder.string(name, default: value)
        guard let choice = Choice(rawValue: found) else { throw TensorError("the \(name) \"\(found)\" isn't supported") }
        return choice
    }

    private static func simple(_ decoder: inout NodeDecoder) throws -> Resize {
        // "bilinear" is what some exporters wrote before the specification settled.
        let name = try decoder.string("mode", default: "nearest")
        guard let mode = Mode(rawValue: name == "bilinear" ? "linear" : name), mode != .cubic else {
            throw TensorError("the mode \"\(name)\" isn't supported")
        }
        return Resize(mode: mode, coordinates: .asymmetric, nearest: .simple, scalesInput: 1, sizesInput: nil)
    }

    static let definitions =
        OperatorDefinition.all("Upsample", since: [7]) { decoder in
            try decoder.requireInputs(1...1)
            var resize = try simple(&decoder)
            guard let scales = try decoder.optionalFloats("scales") else { throw TensorError("attribute scales is missing") }
            resize.scales = scales
            return resize
        }
        + OperatorDefinition.all("Upsample", since: [9, 10]) { decoder in
            try decoder.requireInputs(2...2)
            return try simple(&decoder)
        }
        + OperatorDefinition.all("Resize", since: [10]) { decoder in
            try decoder.requireInputs(2...2)
            return try simple(&decoder)
        }
        + OperatorDefinition.all("Resize", since: [11, 13, 18, 19]) { decoder in
            try decoder.requireInputs(1...4)
            var resize = Resize(
                mode: try choice(&decoder, "mode", default: "nearest"),
                coordinates: try choice(&decoder, "coordinate_transformation_mode", default: "half_pixel"),
                nearest: try choice(&decoder, "nearest_mode", default: "round_prefer_floor"))
            resize.a = try decoder.float("cubic_coeff_a", default: -0.75)
            resize.excludesOutside = try decoder.bool("exclude_outside", default: false)
            resize.extrapolation = try decoder.float("extrapolation_value", default: 0)
            if decoder.version >= 18 {
                resize.isAntialiased = try decoder.bool("antialias", default: false)
                resize.axes = try decoder.optionalInts("axes")
                resize.aspectRatio = try choice(&decoder, "keep_aspect_ratio_policy", default: "stretch")
            }
            return resize
        }
}
