import Foundation
import ONNXLoader

/// The layers that a component has by its `config.json`, in the order in which diffusers' and transformers' code computes them.
enum ExpectedLayers {
    /// - Returns: nil where there is no file, or one of a kind of network that isn't known.
    static func of(_ part: AdapterKey.Part, in folder: ModelFolder) -> [ExpectedLayer]? {
        let file = folder.url.appendingPathComponent(part.rawValue).appendingPathComponent("config.json")
        switch part {
        case .unet: return (try? JSONText.decode(UNet.self, contentsOf: file, keys: .convertFromSnakeCase))?.layers
        case .textEncoder, .secondTextEncoder:
            return (try? JSONText.decode(Text.self, contentsOf: file, keys: .convertFromSnakeCase))?.layers
        }
    }

    private static let extents = 1...1 << 16

    /// A number for all levels, or one for each.
    private struct Numbers: Decodable {
        let values: [Int]
        let isList: Bool

        init(from decoder: any Decoder) throws {
            if let list = try? [Int](from: decoder) {
                (values, isList) = (list, true)
            } else {
                (values, isList) = ([try Int(from: decoder)], false)
            }
        }

        subscript(level: Int) -> Int? { isList ? (values.indices.contains(level) ? values[level] : nil) : values.first }
    }

    private struct Text: Decodable {
        let numHiddenLayers: Int
        let hiddenSize: Int
        let intermediateSize: Int
        let projectionDim: Int?

        var layers: [ExpectedLayer]? {
            guard (1...256).contains(numHiddenLayers), extents.contains(hiddenSize), extents.contains(intermediateSize)
            else {
                return nil
            }
            var result: [ExpectedLayer] = []
            func add(_ name: String, _ out: Int, _ inside: Int) {
                result.append(
                    ExpectedLayer(name: name, extents: WeightExtents(out: out, inside: inside, kernel: 1), source: .main))
            }
            for layer in 0..<numHiddenLayers {
                let place = "encoder_layers_\(layer)_"
                for name in ["q", "k", "v", "out"] { add("\(place)self_attn_\(name)_proj", hiddenSize, hiddenSize) }
                add(place + "mlp_fc1", intermediateSize, hiddenSize)
                add(place + "mlp_fc2", hiddenSize, intermediateSize)
            }
            if let projectionDim, projectionDim != hiddenSize, extents.contains(projectionDim) {
                add("text_projection", projectionDim, hiddenSize)
            }
            return result
        }
    }

    private struct UNet: Decodable {
        let inChannels: Int?
        let outChannels: Int?
        let blockOutChannels: [Int]
        let downBlockTypes: [String]
        let upBlockTypes: [String]
        let midBlockType: String?
        let layersPerBlock: Numbers
        let transformerLayersPerBlock: Numbers?
        let crossAttentionDim: Numbers?
        let projectionClassEmbeddingsInputDim: Int?
        let additionEmbedType: String?
        let timeCondProjDim: Int?
        let classEmbedType: String?
        let onlyCrossAttention: Bool?
        let dualCrossAttention: Bool?

        private static let known: Set<String> = ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]

        var layers: [ExpectedLayer]? {
            let count = blockOutChannels.count
            guard (1...16).contains(count), downBlockTypes.count == count, upBlockTypes.count == count,
                (downBlockTypes + upBlockTypes).allSatisfy(Self.known.contains),
                (midBlockType ?? "UNetMidBlock2DCrossAttn") == "UNetMidBlock2DCrossAttn",
                blockOutChannels.allSatisfy(extents.contains), onlyCrossAttention != true, dualCrossAttention != true,
                classEmbedType == nil
            else { return nil }
            let levels = (0..<count).map { level in
                (
                    blocks: layersPerBlock[level] ?? 0, transformers: transformerLayersPerBlock?[level] ?? 1,
                    states: crossAttentionDim?[level] ?? 1280
                )
            }
            guard
                levels.allSatisfy({
                    (1...64).contains($0.blocks) && (1...64).contains($0.transformers) && extents.contains($0.states)
                })
            else { return nil }
            var builder = Builder(time: 4 * blockOutChannels[0])
            builder.beginning(self)
            var channels = blockOutChannels[0]
            for (level, out) in blockOutChannels.enumerated() {
                let place = "down_blocks_\(level)"
                for block in 0..<levels[level].blocks {
                    builder.resnet("\(place)_resnets_\(block)", out, channels)
                    channels = out
                    if downBlockTypes[level].hasPrefix("CrossAttn") {
                        builder.attention(
                            "\(place)_attentions_\(block)", out, levels[level].states, levels[level].transformers)
                    }
                }
                if level < count - 1 { builder.add("\(place)_downsamplers_0_conv", out, out, kernel: 9) }
            }
            let last = levels[count - 1]
            builder.resnet("mid_block_resnets_0", channels, channels)
            builder.attention("mid_block_attentions_0", channels, last.states, last.transformers)
            builder.resnet("mid_block_resnets_1", channels, channels)
            for index in 0..<count {
                let level = count - 1 - index
                let (place, out) = ("up_blocks_\(index)", blockOutChannels[level])
                let skip = blockOutChannels[max(level - 1, 0)]
                for block in 0...levels[level].blocks {
                    let added = block == levels[level].blocks ? skip : out
                    builder.resnet("\(place)_resnets_\(block)", out, channels + added)
                    channels = out
                    if upBlockTypes[index].hasPrefix("CrossAttn") {
                        builder.attention(
                            "\(place)_attentions_\(block)", out, levels[level].states, levels[level].transformers)
                    }
                }
                if index < count - 1 { builder.add("\(place)_upsamplers_0_conv", out, out, kernel: 9) }
            }
            builder.add("conv_out", outChannels ?? 4, channels, kernel: 9)
            return builder.layers
        }

        private struct Builder {
            /// Numbers of the timestep's embedding.
            let time: Int
            var layers: [ExpectedLayer] = []

            mutating func add(
                _ name: String, _ out: Int, _ inside: Int, kernel: Int = 1, source: LayerOrder.Source = .main
            ) {
                let extents = WeightExtents(out: out, inside: inside, kernel: kernel)
                layers.append(ExpectedLayer(name: name, extents: extents, source: source))
            }

            mutating func beginning(_ unet: UNet) {
                let first = unet.blockOutChannels[0]
                if let width = unet.timeCondProjDim { add("time_embedding_cond_proj", first, width, source: .other) }
                add("time_embedding_linear_1", time, first, source: .other)
                add("time_embedding_linear_2", time, time, source: .other)
                if unet.additionEmbedType == "text_time", let width = unet.projectionClassEmbeddingsInputDim {
                    add("add_embedding_linear_1", time, width, source: .other)
                    add("add_embedding_linear_2", time, time, source: .other)
                }
                add("conv_in", first, unet.inChannels ?? 4, kernel: 9)
            }

            mutating func resnet(_ place: String, _ out: Int, _ inside: Int) {
                add(place + "_conv1", out, inside, kernel: 9)
                add(place + "_time_emb_proj", out, time, source: .other)
                add(place + "_conv2", out, out, kernel: 9)
                if out != inside { add(place + "_conv_shortcut", out, inside) }
            }

            mutating func attention(_ place: String, _ width: Int, _ states: Int, _ count: Int) {
                add(place + "_proj_in", width, width)
                for block in 0..<count {
                    let inner = "\(place)_transformer_blocks_\(block)"
                    for name in ["q", "k", "v", "out_0"] { add("\(inner)_attn1_to_\(name)", width, width) }
                    add("\(inner)_attn2_to_q", width, width)
                    add("\(inner)_attn2_to_k", width, states, source: .states)
                    add("\(inner)_attn2_to_v", width, states, source: .states)
                    add("\(inner)_attn2_to_out_0", width, width)
                    add("\(inner)_ff_net_0_proj", 8 * width, width)
                    add("\(inner)_ff_net_2", width, 4 * width)
                }
                add(place + "_proj_out", width, width)
            }
        }
    }
}
