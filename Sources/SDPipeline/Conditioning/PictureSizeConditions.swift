/// What SDXL's U-Net is told of a picture (Podell et al. 2023, section 2.2): the size that it had, where it was cropped, the size that it has; the
/// refiner, in the place of the last, how good it looks. With them come the pooled states of the prompt.
struct PictureSizeConditions: AddedConditions {
    private static let pooledStates = "text_embeds"
    private static let numbers = "time_ids"

    var inputNames: [String] { [Self.pooledStates, Self.numbers] }

    func values(_ plan: GenerationPlan, states: PromptStates, isNegative: Bool) throws -> [String: [Float]] {
        guard let pooled = states.pooled else {
            throw PipelineError(
                "The model's second text encoder gives no pooled states (text_embeds), which the U-Net of this family takes.",
                kind: .unsupportedModel)
        }
        let sizes = plan.request.pictureSizes
        let original = sizes.original ?? PixelSize(width: plan.width, height: plan.height)
        let target = sizes.target ?? PixelSize(width: plan.width, height: plan.height)
        // diffusers' refiner crops negative pictures at the corner, whatever the positive ones have.
        let scored = plan.configuration.takesAestheticScore
        let crop = scored && isNegative ? PixelPoint(x: 0, y: 0) : sizes.crop
        var numbers = [original.height, original.width, crop.y, crop.x].map { Float($0) }
        if scored {
            numbers.append(Float(isNegative ? sizes.negativeAestheticScore : sizes.aestheticScore))
        } else {
            numbers += [Float(target.height), Float(target.width)]
        }
        if let embedding = plan.configuration.unet.addedEmbedding,
            embedding.total != embedding.size * numbers.count + pooled.count
        {
            throw PipelineError(
                "The U-Net takes an embedding of \(embedding.total) numbers, and \(numbers.count) sizes of \(embedding.size) and \(pooled.count) pooled "
                    + "states make \(embedding.size * numbers.count + pooled.count): its config.json, or requires_aesthetics_score in "
                    + "model_index.json, isn't this model's.", kind: .malformedFile)
        }
        return [Self.pooledStates: pooled, Self.numbers: numbers]
    }
}
