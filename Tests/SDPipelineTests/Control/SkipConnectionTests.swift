import Foundation
import GraphRuntime
import ONNXLoader
import SDPipeline
import TestSupport
import Testing

/// The skip connections of U-Nets, whoever exported them.
@Suite struct SkipConnectionTests {
    private static func connections(_ file: URL, _ change: (inout Graph) throws -> Void = { _ in }) throws -> SkipConnections {
        try #require(FileManager.default.fileExists(atPath: file.path), "\(file.path) is missing: run Tools/setup-test-data.sh")
        var graph = try ONNXModel(contentsOf: file).graph
        try change(&graph)
        return try SkipConnections(graph)
    }

    private static func model(_ name: String) -> URL {
        TestCache.folder.appendingPathComponent("models/\(name)/unet/model.onnx")
    }

    /// Without the names of modules, as simplifiers leave graphs.
    private static func withoutNames(_ graph: inout Graph) {
        for index in graph.nodes.indices {
            graph.nodes[index].name = ""
            graph.nodes[index].scopes = []
        }
        for index in graph.values.indices where !graph.inputs.contains(index) {
            graph.values[index].name = "v\(index)"
        }
    }

    /// What is found, beside the ids, which differ from one graph to the next.
    private struct Found: Equatable, CustomStringConvertible {
        let blocks: [Int]
        let residuals: [Int]
        let skipChannels: [Int?]
        let hiddenChannels: [Int?]

        init(_ connections: SkipConnections) {
            blocks = connections.connections.map(\.block)
            residuals = connections.connections.map(\.residual)
            skipChannels = connections.connections.map(\.skipChannels)
            hiddenChannels = connections.connections.map(\.hiddenChannels)
        }

        init(blocks: [Int], skips: [Int], hidden: [Int]) {
            self.blocks = blocks
            residuals = Array(blocks.indices.reversed())
            skipChannels = skips
            hiddenChannels = hidden
        }

        var description: String { "blocks \(blocks), residuals \(residuals), skips \(skipChannels), hidden \(hiddenChannels)" }
    }

    @Test(arguments: ["sd1", "sd2", "sdxl", "inpaint", "lcm"], ["torchscript-plain", "torchscript-sdpa", "optimum", "dynamo"])
    func sameFromEveryExporter(family: String, exporter: String) throws {
        // Tests/References/tiny_models.py: two levels of 32 and 64 channels; two layers instead of one for inpainting.
        let expected =
            family == "inpaint"
            ? Found(blocks: [0, 0, 0, 1, 1, 1], skips: [64, 64, 32, 32, 32, 32], hidden: [64, 64, 64, 64, 32, 32])
            : Found(blocks: [0, 0, 1, 1], skips: [64, 32, 32, 32], hidden: [64, 64, 64, 32])
        let file = Self.model("\(family)-\(exporter)")
        #expect(Found(try Self.connections(file)) == expected)
        #expect(Found(try Self.connections(file, Self.withoutNames)) == expected, "without names")
        // The operands may stand in the other order.
        let swapped = try Self.connections(file) { graph in
            let found = try SkipConnections(graph)
            for connection in found.connections {
                let node = try #require(graph.nodes.firstIndex { $0.outputs.contains(connection.output) })
                graph.nodes[node].inputs.reverse()
            }
        }
        #expect(Found(swapped) == expected && swapped.connections.allSatisfy { $0.hiddenInput == 1 && $0.skipInput == 0 })
    }

    @Test(arguments: ["fp16", "fp16-inside", "fp16-weights", "bf16-weights", "constants", "initializers-as-inputs"])
    func inEveryStorage(name: String) throws {
        let expected = Found(blocks: [0, 0, 1, 1], skips: [64, 32, 32, 32], hidden: [64, 64, 64, 32])
        let file = Self.model("sd1-storage-\(name)")
        #expect(Found(try Self.connections(file)) == expected)
        #expect(Found(try Self.connections(file, Self.withoutNames)) == expected)
    }

    /// Rewritten by onnxruntime.transformers, whose convolutions take the channels last.
    @Test(arguments: ["sd1", "sd2", "sdxl", "inpaint", "lcm"]) func inOptimisedGraphs(family: String) throws {
        let file = TestCache.folder.appendingPathComponent("optimised-models/\(family)-unet/model.onnx")
        let blocks = family == "inpaint" ? [0, 0, 0, 1, 1, 1] : [0, 0, 1, 1]
        #expect(try Self.connections(file).connections.map(\.block) == blocks)
        #expect(try Self.connections(file, Self.withoutNames).connections.map(\.block) == blocks)
    }

    @Test func inTheEmbeddedModel() throws {
        let file = RepositoryRoot.url.appendingPathComponent("Models/emoji/unet/model.onnx")
        let found = try Self.connections(file)
        #expect(found.connections.map(\.block) == [0, 0, 1, 1, 2, 2])
        #expect(found.connections.map(\.residual) == [5, 4, 3, 2, 1, 0])
        #expect(Found(try Self.connections(file, Self.withoutNames)) == Found(found))
        #expect(found.connections.allSatisfy { $0.skipChannels != nil && $0.hiddenChannels != nil })
        #expect(found.middle == found.connections[0].hidden)
    }

    /// Simplified by onnxslim, onnxsim and ONNX Runtime (Tests/References/simplified_models.py), which fold, merge and rename.
    @Test func inSimplifiedGraphs() throws {
        let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/simplified")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".onnx") }.sorted()
        #expect(files.count == 6)
        for file in files {
            let found = try Self.connections(folder.appendingPathComponent(file))
            #expect(found.connections.map(\.block) == [0, 0, 1, 1], "\(file)")
            #expect(found.connections.map(\.residual) == [3, 2, 1, 0], "\(file)")
        }
    }

    /// Where there are none, one sentence says so.
    @Test func refusesOtherGraphs() throws {
        let decoder = RepositoryRoot.url.appendingPathComponent("Models/emoji/vae_decoder/model.onnx")
        let error = #expect(throws: PipelineError.self) { try Self.connections(decoder) }
        #expect(error?.message.contains("no concatenations") == true, "\(error?.message ?? "")")
        #expect(error?.kind == .unsupportedModel)
        // A concatenation both of whose operands were made on the way up.
        let broken = #expect(throws: PipelineError.self) {
            try Self.connections(Self.model("sd1-optimum")) { graph in
                let found = try SkipConnections(graph)
                let second = found.connections[1]
                let node = try #require(graph.nodes.firstIndex { $0.outputs.contains(second.output) })
                graph.nodes[node].inputs[second.skipInput] = second.hidden
            }
        }
        #expect(broken?.message.contains("doesn't follow the one before") == true, "\(broken?.message ?? "")")
    }
}
