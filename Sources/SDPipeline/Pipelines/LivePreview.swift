import Foundation

/// How often, and how, the picture in the making is shown: ``GenerationProgress/preview(completed:total:images:)``.
public struct LivePreview: Sendable, Equatable {
    /// How latents become a preview.
    public enum Method: Sendable, Hashable {
        /// Through the VAE decoder, as the picture at the end.
        case vae
        /// By a linear map of the latents' channels to colours, which is fitted to the VAE decoder before the first step: coarse, and
        /// some thousand times as fast.
        case linear
        /// Through another decoder of the same latents, such as an AutoencoderTiny (Bohan, TAESD): a folder as for
        /// ``PipelineConfiguration/init(modelFolder:tokenizer:vae:refiner:embeddings:loras:takesLoRAs:)``, or the decoder's graph, beside which a
        /// `config.json` may lie.
        /// Where no file states a scaling factor it is 1, that of such decoders.
        case decoder(URL)
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
