extension ModelFamily {
    /// Stable Diffusion 1.x and 2.x (Rombach et al. 2022), and what was distilled of them: one text encoder, whose last states the U-Net
    /// attends to.
    static let stableDiffusion = ModelFamily(
        name: "Stable Diffusion model",
        pipelineClasses: [
            "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline",
            "StableDiffusionInpaintPipelineLegacy", "StableDiffusionOnnxPipeline", "StableDiffusionControlNetPipeline",
            "StableDiffusionControlNetImg2ImgPipeline", "StableDiffusionControlNetInpaintPipeline",
        ],
        textEncoders: [TextEncoderPart(folder: "text_encoder", tokenizer: "tokenizer")], adjustsSchedulerSettings: true)
}
