/// How often, and how, the picture in the making is shown: ``GenerationProgress/preview(completed:total:images:)``.
public struct LivePreview: Sendable, Equatable {
    /// How latents become a preview.
    public enum Method: String, Sendable, CaseIterable {
        /// Through the VAE decoder, as the picture at the end.
        case vae
        /// By a linear map of the latents' channels to colours, which is fitted to the VAE decoder before the first step: coarse, and
        /// some thousand times as fast.
        case linear
    }

    /// Every so many evaluations of the U-Net, 1 or more; the last is left out, since the picture follows.
    public var interval: Int
    /// How the picture is made.
    public var method: Method

    /// A preview each `interval` evaluations of the U-Net.
    public init(interval: Int, method: Method) {
        self.interval = interval
        self.method = method
    }
}
