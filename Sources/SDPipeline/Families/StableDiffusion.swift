extension ModelFamily {
    /// Stable Diffusion 1.x and 2.x (Rombach et al. 2022): one text encoder, whose last states the U-Net attends to.
    static let stableDiffusion = ModelFamily(
        name: "Stable Diffusion", pipelineClasses: ["StableDiffusionPipeline"],
        textEncoders: [TextEncoderPart(folder: "text_encoder", tokenizer: "tokenizer")], adjustsSchedulerSettings: true)
}
