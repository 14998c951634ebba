import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// ControlNets and FreeU over exported U-Nets, against diffusers' own pipelines over the same weights (Tests/References/controls.py).
@Suite struct ControlParityTests {
    static let root = TestCache.folder.appendingPathComponent("controls")
    static let models = [
        "sd1", "sd2", "sdxl", "sd1-inpaint", "sd1-half", "sd1-dynamo", "sd1-residuals", "sd1-inside", "sdxl-inside",
    ]

    @Test(arguments: models) func sameAsDiffusers(model: String) throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.root.appendingPathComponent("\(model)/model"))
        let cases = try ParityCase.all(model, in: Self.root)
        #expect(cases.contains { $0.freeu != nil } || model == "sd1-inpaint")
        #expect(cases.contains { $0.controls?.count == 2 } || model == "sd1-inpaint")
        for item in cases { try item.expectSame(pipeline.generate(item.request(in: Self.root)), in: Self.root) }
    }

    /// The same weights in graphs that ONNX Runtime's optimiser has rewritten (Tests/References/adapters.py).
    @Test(arguments: ["sd1", "sd2", "sdxl"], ["optimised", "packed"])
    func sameOnOptimisedGraphs(model: String, kind: String) throws {
        let pipeline = try StableDiffusionPipeline(
            modelFolder: TestCache.folder.appendingPathComponent("adapters/models/\(model)-\(kind)"))
        let names = ["text-two", "text-freeu", "text-freeu-control"]
        let cases = try ParityCase.all(model, in: Self.root).filter { names.contains($0.name) }
        #expect(cases.count == names.count)
        for item in cases { try item.expectSame(pipeline.generate(item.request(in: Self.root)), in: Self.root) }
    }

    /// The embedded model with FreeU, against diffusers over the same files with Fourier transforms (Tests/References/freeu.py).
    @Test func embeddedModelWithFreeU() throws {
        struct Entry: Decodable {
            let prompt: String
            let negativePrompt: String?
            let steps: Int
            let guidanceScale: Double
            let seed: UInt64
            let width: Int
            let height: Int
            let freeu: [Double]
            let file: String
        }
        let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/freeu")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let entries = try decoder.decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent("index.json")))
        #expect(entries.count == 3)
        let pipeline = try StableDiffusionPipeline(modelFolder: RepositoryRoot.url.appendingPathComponent("Models/emoji"))
        for entry in entries {
            var request = GenerationRequest(
                prompt: entry.prompt, negativePrompt: entry.negativePrompt, width: entry.width, height: entry.height,
                steps: entry.steps, guidanceScale: entry.guidanceScale, seed: entry.seed, scheduler: "ddim")
            let plain = try pipeline.generate(request).images[0].pixels
            request.freeU = FreeU(b1: entry.freeu[0], b2: entry.freeu[1], s1: entry.freeu[2], s2: entry.freeu[3])
            let made = try pipeline.generate(request).images[0].pixels
            let expected = try PNGFile.read(folder.appendingPathComponent(entry.file)).pixels
            expectClose(made, expected, shape: [entry.height, entry.width, 3], within: 2, "\(entry.prompt)")
            #expect(zip(made, plain).contains { abs(Int($0) - Int($1)) > 20 })
        }
    }

    /// What the networks do shows: without them, or with other settings, the picture is another one by far more than the tolerance.
    @Test func controlsMatter() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.root.appendingPathComponent("sd1/model"))
        let item = try #require(try ParityCase.all("sd1", in: Self.root).first { $0.name == "text-two" })
        let request = try item.request(in: Self.root)
        var others: [GenerationRequest] = []
        for change in [
            { $0.controls = [] }, { $0.controls.removeLast() }, { $0.controls.removeFirst() },
            { $0.controls[0].strength = 0.6 },
            { $0.controls[0].end = 1 }, { $0.controls[1].start = 0 }, { $0.controls[1].image = $0.controls[0].image },
            { $0.controls[0].network = $0.controls[1].network }, { $0.controls[0].guesses = true },
            { $0.controls[0].preprocessing = .standardCanny }, { $0.freeU = FreeU(b1: 1.4, b2: 1.6, s1: 0.7, s2: 0.3) },
        ] as [(inout GenerationRequest) -> Void] {
            var other = request
            change(&other)
            others.append(other)
        }
        let expected = try pipeline.generate(request).latents.values
        let size = expected.map(abs).max() ?? 0
        for (index, other) in others.enumerated() {
            let made = try pipeline.generate(other).latents.values
            let largest = zip(made, expected).map { abs($0 - $1) }.max() ?? 0
            #expect(Double(largest / size) > 50 * item.tolerance.latents, "change \(index): \(largest / size)")
        }
        // And the U-Net is as it was where nothing takes part.
        let plain = try pipeline.generate(others[0]).images[0]
        let fresh = try StableDiffusionPipeline(modelFolder: Self.root.appendingPathComponent("sd1/model"))
        #expect(try fresh.generate(others[0]).images[0] == plain)
    }
}
