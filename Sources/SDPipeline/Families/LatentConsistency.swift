extension ModelFamily {
    /// Latent consistency models (Luo et al. 2023): Stable Diffusion, distilled to need a few steps.
    static let latentConsistency = ModelFamily(
        name: "latent consistency model",
        pipelineClasses: ["LatentConsistencyModelPipeline", "LatentConsistencyModelImg2ImgPipeline"],
        textEncoders: [TextEncoderPart(folder: "text_encoder", tokenizer: "tokenizer")], keepsStepsOverPictures: true,
        schedulerKind: .consistency)
}
