extension ModelFamily {
    private static let xlClasses = [
        "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline",
        "StableDiffusionXLControlNetPipeline", "StableDiffusionXLControlNetImg2ImgPipeline",
        "StableDiffusionXLControlNetInpaintPipeline",
    ]
    private static let secondEncoder = TextEncoderPart(
        folder: "text_encoder_2", tokenizer: "tokenizer_2", states: .penultimate)

    /// Stable Diffusion XL (Podell et al. 2023), and what was distilled of it (Turbo, Lightning): two text encoders, whose states before
    /// the last layer the U-Net attends to side by side; besides it takes the second one's pooled states and sizes of the picture.
    static let stableDiffusionXL = ModelFamily(
        name: "Stable Diffusion XL model", pipelineClasses: xlClasses,
        textEncoders: [
            TextEncoderPart(folder: "text_encoder", tokenizer: "tokenizer", states: .penultimate), secondEncoder,
        ], addedConditions: PictureSizeConditions(), guidanceScale: 5, scalingFactor: 0.13025)

    /// The refiner of Stable Diffusion XL: the second text encoder alone, and a score of the picture's looks in the place of a size.
    static let stableDiffusionXLRefiner = ModelFamily(
        name: "refiner of Stable Diffusion XL", pipelineClasses: xlClasses,
        isOf: { !$0.has("text_encoder") && $0.has("text_encoder_2") },
        textEncoders: [secondEncoder], addedConditions: PictureSizeConditions(), guidanceScale: 5, strength: 0.3,
        scalingFactor: 0.13025, needsPicture: true)
}
