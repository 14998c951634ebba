import Foundation

/// Names of modules with underscores for dots, without what exporters and trainers put before them.
enum ModuleNames {
    private static let unetRoots = [
        "conv_in_", "time_embedding_", "add_embedding_", "class_embedding_", "down_blocks_", "mid_block_", "up_blocks_",
        "conv_norm_out_", "conv_out_", "encoder_hid_proj_",
    ]
    private static let textRoots = ["encoder_layers_", "embeddings_", "final_layer_norm_", "text_projection_"]
    private static let sgmRoots = ["input_blocks_", "middle_block_", "output_blocks_", "time_embed_", "label_emb_"]

    /// A module of a U-Net, from diffusers' first name on: `down_blocks_0_resnets_0_conv1`; nil for others.
    static func unet(_ name: String) -> String? { from(unetRoots, name) }

    /// A module of a CLIP text encoder: `encoder_layers_0_self_attn_q_proj`; nil for others.
    static func text(_ name: String) -> String? { from(textRoots, name) }

    /// Whether a module has a name of the original code (SGM, LDM), as most adapters of SDXL.
    static func isSGM(_ name: String) -> Bool { sgmRoots.contains { name.hasPrefix($0) } }

    /// The name from the first of the roots on, where one begins at a boundary.
    private static func from(_ roots: [String], _ name: String) -> String? {
        let padded = "_" + name + "_"
        var first: String.Index?
        for root in roots {
            guard let range = padded.range(of: "_" + root), first.map({ range.lowerBound < $0 }) ?? true else { continue }
            first = range.lowerBound
        }
        return first.map { String(padded[padded.index(after: $0)...].dropLast()) }
    }

    /// diffusers' name of a U-Net's module that has one of the original code; nil where it has none there.
    ///
    /// Each of the original's input blocks is a residual block with its attention, or what halves the size (`op`); there are as many
    /// as residual blocks in a level, and one more. The same holds for its output blocks, where what doubles the size comes last.
    ///
    /// - Parameter layers: residual blocks of a level on the way down, 2 in published models.
    static func diffusers(sgm name: String, layers: Int) -> String? {
        let inner = [
            "in_layers_0": "norm1", "in_layers_2": "conv1", "emb_layers_1": "time_emb_proj", "out_layers_0": "norm2",
            "out_layers_3": "conv2", "skip_connection": "conv_shortcut",
        ]
        let fixed = [
            "time_embed_0": "time_embedding_linear_1", "time_embed_2": "time_embedding_linear_2",
            "label_emb_0_0": "add_embedding_linear_1", "label_emb_0_2": "add_embedding_linear_2",
            "input_blocks_0_0": "conv_in", "out_0": "conv_norm_out", "out_2": "conv_out",
        ]
        if let known = fixed[name] { return known }
        func resnet(_ place: String, _ rest: String) -> String? { inner[rest].map { "\(place)_\($0)" } }
        if name.hasPrefix("middle_block_"), let (place, rest) = numbers(name.dropFirst("middle_block_".count), count: 1) {
            switch place[0] {
            case 0: return resnet("mid_block_resnets_0", rest)
            case 1: return "mid_block_attentions_0_\(rest)"
            case 2: return resnet("mid_block_resnets_1", rest)
            default: return nil
            }
        }
        let each = layers + 1
        if name.hasPrefix("input_blocks_"), let (place, rest) = numbers(name.dropFirst("input_blocks_".count), count: 2),
            place[0] >= 1
        {
            let (block, layer) = ((place[0] - 1) / each, (place[0] - 1) % each)
            if rest == "op" { return "down_blocks_\(block)_downsamplers_0_conv" }
            return place[1] == 0
                ? resnet("down_blocks_\(block)_resnets_\(layer)", rest) : "down_blocks_\(block)_attentions_\(layer)_\(rest)"
        }
        if name.hasPrefix("output_blocks_"), let (place, rest) = numbers(name.dropFirst("output_blocks_".count), count: 2) {
            let (block, layer) = (place[0] / each, place[0] % each)
            if rest == "conv" { return "up_blocks_\(block)_upsamplers_0_conv" }
            return place[1] == 0
                ? resnet("up_blocks_\(block)_resnets_\(layer)", rest) : "up_blocks_\(block)_attentions_\(layer)_\(rest)"
        }
        return nil
    }

    /// Numbers with underscores behind them that a text begins with, and the rest.
    private static func numbers(_ text: Substring, count: Int) -> ([Int], String)? {
        let pieces = text.split(separator: "_", maxSplits: count)
        guard pieces.count == count + 1 else { return nil }
        let values = pieces.prefix(count).compactMap { $0.count <= 4 ? Int($0) : nil }
        return values.count == count && values.allSatisfy { $0 >= 0 } ? (values, String(pieces[count])) : nil
    }
}
