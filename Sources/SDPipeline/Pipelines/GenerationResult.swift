/// The pictures of a request and what they were made from.
public struct GenerationResult: Sendable {
    /// The pictures, as many as were asked for.
    public var images: [RGBImage]
    /// Of each picture, whether the safety checker flagged it, so that it is black; nil where it wasn't asked. With
    /// ``Inpainting/padding`` only what was made is black.
    public var flagged: [Bool]?
    /// The latents after the last step, [batchCount, C, h, w], before the VAE's scaling factor.
    public var latents: Latents
    /// Pictures on the way, where `previewInterval` asked for them; each has the number of evaluations before it.
    public var previews: [(evaluations: Int, images: [RGBImage])] = []
    /// What each picture was made with, as many as ``images``.
    public var records: [GenerationRecord]
    /// The seed of each picture's generator; one and the same for all where they share it.
    public var seeds: [UInt64]
    /// The diffusers class of the scheduler that ran.
    public var schedulerName: String
    /// The name by which the registry finds it, with its variant, such as `dpm++2m karras`.
    public var scheduler: String
    /// The timesteps at which the U-Net was evaluated, in order.
    public var timesteps: [Float]
    /// Tokens of the prompt, start and end included, before it was cut to what the text encoder takes.
    public var promptTokenCount: Int
    /// Of the negative prompt.
    public var negativePromptTokenCount: Int
    /// What the text encoder takes.
    public var tokenLimit: Int
    /// What was found while the pictures were made, beside ``GenerationPlan/notices``.
    public var notices: [GenerationNotice]
    /// How long the parts took.
    public var timings: Timings

    /// Seconds that the parts took.
    public struct Timings: Sendable, Codable {
        /// The text encoder, for all prompts.
        public var textEncoder = 0.0
        /// The U-Net, over all steps.
        public var unet = 0.0
        /// The U-Net in each evaluation, in order. The first of a loaded model packs weights.
        public var unetEvaluations: [Double] = []
        /// The scheduler, over all steps.
        public var scheduler = 0.0
        /// The VAE decoder, for all pictures.
        public var vaeDecoder = 0.0
        /// From the request to the last picture.
        public var total = 0.0
    }
}
