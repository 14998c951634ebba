/// What `unet/config.json` says; where there is none, what the graph shows.
struct UNetConfiguration: Sendable {
    /// Channels of what it takes: those of latents, and for inpainting a mask's and as many of a masked picture.
    let inputChannels: Int
    /// The latents' height and width that it was trained at.
    let sampleSize: (height: Int, width: Int)?
    /// The width of the guidance embedding of latent consistency models; nil for all others.
    let guidanceEmbeddingWidth: Int?
    /// Latents whose height and width are multiples of this suit it: each level but the last halves them.
    let latentMultiple: Int
    /// Numbers of the time embedding of SDXL's sizes, and of it and the pooled prompt together.
    let addedEmbedding: (size: Int, total: Int)?

    init(_ folder: ModelFolder) throws {
        guard let file = try folder.configuration(of: "unet") else {
            let graph = try GraphSizes(folder.graph(of: "unet"))
            inputChannels = graph.inputChannels ?? 4
            sampleSize = nil
            guidanceEmbeddingWidth = graph.width(ofInput: GuidanceEmbedding.inputName)
            latentMultiple = graph.scalingFactor
            addedEmbedding = nil
            return
        }
        inputChannels = try file.optionalInt("in_channels", in: 1...1024) ?? 4
        sampleSize = try file.optionalSize("sample_size", in: 1...65536)
        guidanceEmbeddingWidth = try file.optionalInt("time_cond_proj_dim", in: 2...65536)
        latentMultiple = 1 << ((try file.optionalCount("block_out_channels", atMost: 16) ?? 4) - 1)
        let size = try file.optionalInt("addition_time_embed_dim", in: 1...65536)
        let total = try file.optionalInt("projection_class_embeddings_input_dim", in: 1...1 << 20)
        addedEmbedding = if let size, let total { (size, total) } else { nil }
    }
}
