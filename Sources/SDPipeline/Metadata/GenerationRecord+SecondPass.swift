import Foundation

extension GenerationRecord {
    /// A second pass at a larger size, see ``SDPipeline/SecondPass``.
    public struct SecondPass: Sendable, Equatable, Codable {
        /// See ``SDPipeline/SecondPass/scale``.
        public var scale: Double
        /// See ``SDPipeline/SecondPass/strength``.
        public var strength: Double
        /// Steps that were stated; nil for those of the first pass.
        public var steps: Int?
        /// A ``LatentUpscaling``, `lanczos`, or the name of the network's file.
        public var upscaler: String
        /// The network's file; nil for none, and where it can't be read.
        public var network: InputFiles.File?
        /// Of the picture, in pixels.
        public var width: Int
        /// Of the picture, in pixels.
        public var height: Int

        /// What AUTOMATIC1111's web interface calls the upscaler.
        var webUIUpscaler: String {
            if network != nil { return (upscaler as NSString).deletingPathExtension }
            return LatentUpscaling(rawValue: upscaler)?.webUIName ?? (upscaler == "lanczos" ? "Lanczos" : upscaler)
        }

        /// The settings as that program writes them.
        var pairs: [Infotext.Pair] {
            [.init("Hires upscale", GenerationRecord.text(scale))] + (steps.map { [.init("Hires steps", "\($0)")] } ?? [])
                + [.init("Hires upscaler", webUIUpscaler)]
        }
    }
}

extension StableDiffusionPipeline {
    /// What is recorded of a plan's second pass; nil for none.
    func secondPassRecord(_ plan: GenerationPlan) -> GenerationRecord.SecondPass? {
        guard let pass = plan.request.secondPass, let second = plan.follower else { return nil }
        var (name, file): (String, InputFiles.File?)
        switch pass.upscaler {
        case .latent(let upscaling): (name, file) = (upscaling.rawValue, nil)
        case .lanczos: (name, file) = ("lanczos", nil)
        case .network(let url):
            file = (try? superResolutionNetwork(url))?.file
            name = file?.name ?? url.lastPathComponent
        }
        return GenerationRecord.SecondPass(
            scale: pass.scale, strength: pass.strength, steps: pass.steps, upscaler: name, network: file, width: second.width,
            height: second.height)
    }
}
