import Foundation

/// What can be said of a request's ControlNets before a graph is loaded.
enum ControlPlan {
    /// - Throws: ``PipelineError`` for networks that aren't there, don't go with the model, or whose settings make no sense.
    static func check(_ request: GenerationRequest, _ configuration: PipelineConfiguration) throws {
        guard !request.controls.isEmpty else { return }
        let own = request.controls.count { $0.network == nil }
        guard own == 0 || own == request.controls.count else {
            throw PipelineError(
                "\(own) of \(request.controls.count) control pictures are for the model's own ControlNets, and the others for networks that are named: "
                    + "expected one or the other.", kind: .invalidRequest)
        }
        for control in request.controls {
            try control.check()
            try check(try files(control, configuration), configuration)
        }
        if own > 0 { try checkOwn(request.controls, configuration) }
        if request.inpainting?.padding != nil, let mask = request.inpainting?.mask,
            let other = request.controls.map(\.image).first(where: { ($0.width, $0.height) != (mask.width, mask.height) })
        {
            throw PipelineError(
                "The control picture has \(other.width)×\(other.height) pixels, and the mask \(mask.width)×\(mask.height): where only the masked part is made, expected as "
                    + "many.", kind: .invalidRequest)
        }
    }

    /// Where a control's network lies; nil where it is inside of the U-Net.
    static func files(_ control: Control, _ configuration: PipelineConfiguration) throws -> ControlNetFiles? {
        if let network = control.network { return try ControlNetFiles(network) }
        return configuration.folder.has("controlnet") ? try ControlNetFiles(configuration.folder.graph(of: "controlnet")) : nil
    }

    /// What configuration files say of both: the width of the prompt's states, and the channels of the levels.
    private static func check(_ files: ControlNetFiles?, _ configuration: PipelineConfiguration) throws {
        guard let files, let own = try files.configuration, let unet = try configuration.folder.configuration(of: "unet") else {
            return
        }
        for key in ["cross_attention_dim", "block_out_channels"] {
            guard var given = own.numbers(key), var expected = unet.numbers(key) else { continue }
            // One width may be stated for each level.
            if key == "cross_attention_dim" { (given, expected) = (Set(given).sorted(), Set(expected).sorted()) }
            guard given != expected else { continue }
            func text(_ list: [Double]) -> String {
                list.map { Int(exactly: $0).map(String.init) ?? "\($0)" }.joined(separator: ", ")
            }
            throw PipelineError(
                "The \(files.title) has a \(key) of \(text(given)), and the model's U-Net one of \(text(expected)): it belongs to another family of models.",
                kind: .unsupportedModel)
        }
    }

    /// The networks that a model has itself.
    private static func checkOwn(_ controls: [Control], _ configuration: PipelineConfiguration) throws {
        let path = configuration.folder.url.path
        if configuration.folder.has("controlnet") {
            guard controls.count == 1 else {
                throw PipelineError(
                    "\(path) has one ControlNet, and there are \(controls.count) control pictures: expected one.",
                    kind: .invalidRequest)
            }
            return
        }
        guard let inside = try GraphSizes(configuration.folder.graph(of: "unet")).builtInControls else {
            throw PipelineError(
                "\(path) has no ControlNet of its own: expected one to be named for each control picture.",
                kind: .invalidRequest)
        }
        if let count = inside.count, count != controls.count {
            throw PipelineError(
                "\(path) has \(count) ControlNets inside of its U-Net, and there are \(controls.count) control pictures: expected as many.",
                kind: .invalidRequest)
        }
        if controls.contains(where: \.guesses) {
            throw PipelineError(
                "The ControlNets inside of the U-Net of \(path) see all of its rows: the guess mode needs networks of their own.",
                kind: .unsupportedModel)
        }
    }
}
