import Foundation
import GraphRuntime

/// The U-Net: predicts from noisy latents, a timestep and the prompt's states what the scheduler needs (noise, sample or velocity).
struct UNet: Sendable {
    let component: Component
    let configuration: UNetConfiguration
    private let sample: InputDeclaration
    private let timestep: InputDeclaration
    private let states: InputDeclaration
    private let guidance: InputDeclaration?

    /// What many runs in a row get as the same tensor, see ``SessionOptions/steadyInputs``.
    static let steadyInputs: Set<String> = ["encoder_hidden_states"]

    init(_ component: Component, configuration: UNetConfiguration) throws {
        self.component = component
        self.configuration = configuration
        sample = try component.input(["sample"], position: 0)
        timestep = try component.input(["timestep", "timesteps", "t"], position: 1)
        states = try component.input(["encoder_hidden_states"], position: 2)
        guidance = component.optionalInput(["timestep_cond"])
        let known = Set([sample.name, timestep.name, states.name, guidance?.name ?? sample.name])
        if let other = component.session.inputs.first(where: { !known.contains($0.name) }) {
            throw PipelineError(
                "The U-Net takes the input \"\(other.name)\", which text to picture with a Stable Diffusion 1.x or 2.x model doesn't have."
            )
        }
    }

    /// The batch that the export fixed; nil where any will do.
    var fixedBatch: Int? { sample.fixedBatch }

    /// The prompts' states as the graph takes them, [rows, tokens, width]. What depends on them alone is computed once for runs in a
    /// row with the same tensor.
    func states(_ values: [Float], shape: [Int]) throws -> Tensor { try states.tensor(values, shape: shape) }

    /// The prediction for a batch.
    ///
    /// - Parameters:
    ///   - latents: [rows, C, H, W], row-major.
    ///   - states: from ``states(_:shape:)``.
    ///   - guidanceScale: for models that take it as an input.
    /// - Returns: [rows, C, H, W].
    func predict(
        latents: [Float], shape: [Int], timestep: Float, states: Tensor, guidanceScale: Double, observer: (any RunObserver)?
    ) throws -> [Float] {
        let rows = shape[0]
        var inputs = [
            sample.name: try sample.tensor(latents, shape: shape),
            self.timestep.name: try timestepTensor(timestep, rows: rows),
            self.states.name: states,
        ]
        if let guidance {
            let width = configuration.guidanceEmbeddingWidth ?? 256
            let embedding = Self.guidanceEmbedding(of: guidanceScale - 1, width: width)
            inputs[guidance.name] = try guidance.tensor((0..<rows).flatMap { _ in embedding }, shape: [rows, width])
        }
        let output = try component.output(["out_sample", "sample", "noise_pred"], of: inputs, observer: observer)
        guard output.shape.rank == 4, output.shape[0] == rows, output.shape.dimensions.suffix(2) == shape.suffix(2) else {
            throw PipelineError("The U-Net answers \(output.shape) to latents of shape \(shape).", kind: .failedRun)
        }
        return try output.array(of: Float.self)
    }

    private func timestepTensor(_ value: Float, rows: Int) throws -> Tensor {
        guard let dimensions = timestep.dimensions, let first = dimensions.first else {
            return try timestep.tensor([value], shape: [])
        }
        let count = if case .fixed(let extent) = first { extent } else { rows }
        return try timestep.tensor(Array(repeating: value, count: count), shape: [count])
    }

    /// The sinusoidal embedding of a guidance scale minus one (Luo et al., "Latent Consistency Models", 2023; Vaswani et al. 2017 with
    /// a factor of 1000; diffusers' `get_guidance_scale_embedding`): sines, then cosines.
    static func guidanceEmbedding(of scale: Double, width: Int) -> [Float] {
        let half = width / 2
        let step = log(10000) / Double(max(half - 1, 1))
        let angles = (0..<half).map { Float(scale * 1000) * Float(exp(-Double($0) * step)) }
        return angles.map { sin($0) } + angles.map { cos($0) } + (width % 2 == 1 ? [0] : [])
    }
}

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
