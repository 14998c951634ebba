import Foundation

/// The guidance scale as an input of models that were distilled to need no second prediction (Luo et al., "Latent Consistency Models", 2023).
enum GuidanceEmbedding {
    /// The U-Net's input.
    static let inputName = "timestep_cond"

    /// The sinusoidal embedding of a guidance scale minus one (Vaswani et al. 2017 with a factor of 1000; diffusers'
    /// `get_guidance_scale_embedding`): sines, then cosines.
    static func values(scale: Double, width: Int) -> [Float] {
        let half = width / 2
        let step = log(10000) / Double(max(half - 1, 1))
        let angles = (0..<half).map { Float((scale - 1) * 1000) * Float(exp(-Double($0) * step)) }
        return angles.map { sin($0) } + angles.map { cos($0) } + (width % 2 == 1 ? [0] : [])
    }
}
