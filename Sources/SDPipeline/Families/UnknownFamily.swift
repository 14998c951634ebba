/// Pipelines that no family makes pictures with.
enum UnknownFamily {
    /// Parts of diffusers' class names, and what such a model is.
    private static let known: [(part: String, what: String)] = [
        ("StableDiffusion3", "Stable Diffusion 3, a transformer with three text encoders in the place of a U-Net"),
        ("Flux", "Flux, a transformer with a T5 text encoder in the place of a U-Net"),
        ("Sana", "Sana, a linear transformer with a Gemma text encoder in the place of a U-Net"),
        ("PixArt", "PixArt, a transformer with a T5 text encoder in the place of a U-Net"),
        ("AuraFlow", "AuraFlow, a transformer in the place of a U-Net"),
        ("HunyuanDiT", "Hunyuan-DiT, a transformer in the place of a U-Net"),
        ("Lumina", "Lumina, a transformer in the place of a U-Net"),
        ("QwenImage", "Qwen-Image, a transformer in the place of a U-Net"),
        ("Kandinsky", "Kandinsky, which has a prior network before its U-Net"),
        ("Wuerstchen", "Würstchen, which diffuses in two stages"),
        ("StableCascade", "Stable Cascade, which diffuses in two stages"),
        ("IFPipeline", "DeepFloyd IF, which diffuses pixels and has a T5 text encoder"),
        ("Upscale", "an upscaler, whose U-Net takes a small picture beside the latents"),
        ("Depth2Img", "a model that takes a depth map beside the latents"),
        ("InstructPix2Pix", "a model that takes a picture beside the latents and two guidance scales"),
        ("ControlNet", "a pipeline with a ControlNet of another kind"),
        ("VideoDiffusion", "a model that makes videos"),
    ]

    /// Why pictures can't be made with the model.
    static func error(_ folder: ModelFolder) -> PipelineError {
        let name = folder.pipelineClass
        let what = known.first { name.contains($0.part) }.map { ", that is \($0.what)" } ?? ""
        let classes = Set(ModelFamily.all.flatMap(\.pipelineClasses)).sorted()
        let parts = folder.components
        return PipelineError(
            "\(folder.url.path) is a \(name)\(what), with \(parts.isEmpty ? "no graphs" : parts.joined(separator: ", ")); expected a "
                + classes.dropLast().joined(separator: ", a ")
                + " or a \(classes.last ?? ""): pictures from text need one of these; "
                + "single graphs of any model run as sessions.", kind: .unsupportedModel)
    }
}
