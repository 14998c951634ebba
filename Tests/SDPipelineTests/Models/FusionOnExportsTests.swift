import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline
import Testing

/// How often each fusion fires on the exports of ``ExportedGraphTests``: as often as the models' structure has what it stands for, in
/// the form of every exporter, unless the exporter wrote the operator itself.
@Suite struct FusionOnExportsTests {
    /// What a model is made of.
    private struct Structure {
        var groupNorms = 0
        /// GroupNorms with a SiLU behind them: all but those of the transformers.
        var activatedGroupNorms = 0
        var layerNorms = 0
        var attentions = 0
        /// With CLIP's quick GELU, which is one with another factor.
        var siLUs = 0
        var gelus = 0
        /// Linear layers with a bias on [batch, tokens, channels].
        var linears = 0
    }

    /// Tests/References/tiny_models.py: two levels with one layer each (inpainting two), so 2 + 2 + 4 (4 + 2 + 6) residual blocks with
    /// two GroupNorms each, one for the output and one for each of 4 (6) transformers; sdxl has two blocks in each transformer. A block
    /// has three LayerNorms, two attentions, a GEGLU and four linear layers with a bias; two more a transformer where projections are linear.
    private static func structure(_ family: String, _ component: String) -> Structure? {
        switch (component, family) {
        case ("unet", "sd1"), ("unet", "lcm"):
            Structure(groupNorms: 21, activatedGroupNorms: 17, layerNorms: 12, attentions: 8, siLUs: 19, gelus: 4, linears: 16)
        case ("unet", "sd2"):
            Structure(groupNorms: 21, activatedGroupNorms: 17, layerNorms: 12, attentions: 8, siLUs: 19, gelus: 4, linears: 24)
        case ("unet", "sdxl"):
            Structure(groupNorms: 21, activatedGroupNorms: 17, layerNorms: 24, attentions: 16, siLUs: 20, gelus: 8, linears: 40)
        case ("unet", "inpaint"):
            Structure(groupNorms: 31, activatedGroupNorms: 25, layerNorms: 18, attentions: 12, siLUs: 27, gelus: 6, linears: 24)
        case ("vae_decoder", _): Structure(groupNorms: 14, activatedGroupNorms: 13, attentions: 1, siLUs: 13, linears: 4)
        case ("vae_encoder", _): Structure(groupNorms: 10, activatedGroupNorms: 9, attentions: 1, siLUs: 9, linears: 4)
        // Two layers: two LayerNorms, an attention and six linear layers each.
        case ("text_encoder", "sd2"), ("text_encoder_2", _): Structure(layerNorms: 5, attentions: 2, gelus: 2, linears: 12)
        case ("text_encoder", _): Structure(layerNorms: 5, attentions: 2, siLUs: 2, linears: 12)
        default: nil
        }
    }

    @Test func everyExportersFormsFuse() throws {
        let threads = ThreadPool(threadCount: 1)
        var families: Set<String> = []
        for entry in try ExportedGraphTests.entries() {
            let structure = try #require(Self.structure(entry.family, entry.component), "\(entry.title)")
            families.insert("\(entry.family) \(entry.exporter)")
            let model = try ONNXModel(contentsOf: ExportedGraphTests.folder.appendingPathComponent(entry.path))
            func written(_ type: String) -> Int { model.graph.nodes.count { $0.identity.type == type } }
            let session = try Session(
                graph: model.graph, library: StandardOperators.library, options: SessionOptions(threads: threads))
            for testCase in entry.cases {
                var inputs: [String: Tensor] = [:]
                for (name, path) in testCase.inputs {
                    let declared = session.inputs.first { $0.name == name }?.type
                    inputs[name] = try NPYArray(contentsOf: ExportedGraphTests.folder.appendingPathComponent(path)).tensor(
                        declaredAs: declared)
                }
                let counts = try session.prepare(inputs).fusionCounts
                func expect(_ name: String, _ least: Int, written: Int = 0) {
                    let found = counts[name] ?? 0
                    #expect(
                        found + written >= least, "\(entry.title): \(name) fired \(found) times, expected \(least - written)")
                }
                expect("GroupNormalization", structure.groupNorms, written: written("GroupNormalization"))
                expect("GroupNormalization+SiLU", structure.activatedGroupNorms)
                expect("LayerNormalization", structure.layerNorms, written: written("LayerNormalization"))
                expect("Attention", structure.attentions, written: written("Attention"))
                expect("SiLU", structure.siLUs)
                expect("GELU", structure.gelus, written: written("Gelu"))
                // Each GELU of a U-Net is that of a gated feed-forward layer.
                if entry.component == "unet" {
                    expect("GEGLU", structure.gelus)
                    expect("MatMul+GEGLU", structure.gelus)
                }
                expect("MatMul+bias", structure.linears)
            }
        }
        #expect(families.count >= 20)
    }
}
