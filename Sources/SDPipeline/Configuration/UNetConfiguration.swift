/// What `unet/config.json` says.
struct UNetConfiguration: Sendable {
    /// Channels of the latents that it takes; 4 for text to picture, 9 for inpainting.
    let inputChannels: Int
    /// The latents' height and width that it was trained at.
    let sampleSize: Int?
    /// The width of the guidance embedding of latent consistency models; nil for all others.
    let guidanceEmbeddingWidth: Int?
    /// Latents whose height and width are multiples of this suit it: each level but the last halves them.
    let latentMultiple: Int

    init(_ folder: ModelFolder) throws {
        let file = try folder.configuration(of: "unet")
        inputChannels = try file.optionalInt("in_channels", in: 1...1024) ?? 4
        sampleSize = try file.optionalInt("sample_size", in: 1...65536)
        guidanceEmbeddingWidth = try file.optionalInt("time_cond_proj_dim", in: 2...65536)
        latentMultiple = 1 << ((try file.optionalCount("block_out_channels", atMost: 16) ?? 4) - 1)
    }
}
