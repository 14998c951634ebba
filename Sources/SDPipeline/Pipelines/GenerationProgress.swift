/// How far a generation is.
public enum GenerationProgress: Sendable {
    /// The text encoder is about to run.
    case encodingPrompt
    /// The U-Net and the scheduler have finished `completed` of `total` steps.
    case step(completed: Int, total: Int)
    /// The pictures after `completed` of `total` steps, where ``GenerationRequest/livePreview`` asks for them.
    case preview(completed: Int, total: Int, images: [RGBImage])
    /// The VAE has finished `completed` of `total` pictures.
    case decoding(completed: Int, total: Int)
}
