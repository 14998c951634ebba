import Foundation
import GraphRuntime

extension ModelFolder {
    /// The folders that have a graph, sorted: `text_encoder`, `unet`, `vae_decoder`, ….
    public var components: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: url.appendingPathComponent("\($0)/model.onnx").path) }
            .sorted()
    }

    /// The shapes that a component's inputs have in a run with guidance at the size that the model was trained at, as far as
    /// configuration files and declarations tell. Fixed extents of the declarations hold over all.
    ///
    /// - Parameters:
    ///   - component: its folder's name.
    ///   - inputs: the graph's inputs.
    /// - Returns: shapes by the inputs' names; inputs of unknown rank are left out.
    /// - Throws: ``PipelineError`` for configuration files that are malformed.
    public func inputShapes(of component: String, _ inputs: [ValueDeclaration]) throws -> [String: [Int]] {
        let sizes = try ComponentSizes(self)
        var result: [String: [Int]] = [:]
        for input in inputs {
            guard case .tensor(_, let dimensions?)? = input.type else { continue }
            let expected = sizes.shape(of: component, rank: dimensions.count)
            result[input.name] = zip(dimensions, expected).map { dimension, size in
                if case .fixed(let extent) = dimension { extent } else { size }
            }
        }
        return result
    }
}

/// Sizes that a pipeline's configuration files state.
private struct ComponentSizes {
    private let tokens: Int
    private let stateWidth: Int
    private let latentChannels: Int
    private let latentSize: (height: Int, width: Int)
    private let factor: Int

    init(_ folder: ModelFolder) throws {
        func file(_ names: String...) -> ConfigurationFile? {
            names.lazy.compactMap { (try? folder.configuration(of: $0)) ?? nil }.first
        }
        tokens = try file("text_encoder")?.optionalInt("max_position_embeddings", in: 3...65536) ?? 77
        let unet = file("unet")
        // SDXL and others state one width a level; what the graph fixes holds over this.
        stateWidth = (try? unet?.optionalInt("cross_attention_dim", in: 1...65536)) ?? 768
        latentChannels = try unet?.optionalInt("in_channels", in: 1...1024) ?? 4
        let vae = file("vae_decoder", "vae_encoder", "vae")
        factor = 1 << ((try vae?.optionalCount("block_out_channels", atMost: 12) ?? 4) - 1)
        latentSize = try unet?.optionalSize("sample_size", in: 1...65536) ?? (64, 64)
    }

    /// By the number of axes: pictures and latents have four, states three, token ids and embeddings two, timesteps one.
    func shape(of component: String, rank: Int) -> [Int] {
        switch (component, rank) {
        case ("vae_encoder", 4): [1, 3, latentSize.height * factor, latentSize.width * factor]
        case ("vae_decoder", 4): [1, latentChannels, latentSize.height, latentSize.width]
        case (_, 4): [2, latentChannels, latentSize.height, latentSize.width]
        case (_, 3): [2, tokens, stateWidth]
        case (_, 2): [2, tokens]
        case (_, 1): [1]
        default: Array(repeating: 1, count: rank)
        }
    }
}
