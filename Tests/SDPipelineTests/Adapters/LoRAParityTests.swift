import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Adapters of every form and with every trainer's keys, on every exporter's graphs, against diffusers with PEFT and LyCORIS
/// (Tests/References/adapters.py).
@Suite struct LoRAParityTests {
    /// A picture that the judges made; paths are relative to ``root``, those of models to the cache.
    struct Case: Decodable, Sendable {
        struct Adapter: Decodable {
            let file: String
            let weight: Double
            let textWeight: Double
        }

        /// Paths are relative to ``ControlParityTests/root``.
        struct Controlled: Decodable {
            let network: String
            let image: String
        }

        let name: String
        let models: [String]
        let adapters: [Adapter]
        let control: Controlled?
        let picture: String
        let prompt: String
        let negativePrompt: String?
        let seed: UInt64
        let steps: Int
        let guidanceScale: Double
        let width: Int
        let height: Int
    }

    static let root = TestCache.folder.appendingPathComponent("adapters")

    static let cases: [Case] = {
        struct File: Decodable { let cases: [Case] }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let data = try? Data(contentsOf: root.appendingPathComponent("cases.json"))
        return data.flatMap { try? decoder.decode(File.self, from: $0).cases } ?? []
    }()

    static func file(_ name: String) -> URL { root.appendingPathComponent("files/\(name)") }

    static func request(_ item: Case) throws -> GenerationRequest {
        var request = GenerationRequest(
            prompt: item.prompt, negativePrompt: item.negativePrompt, width: item.width, height: item.height, steps: item.steps,
            guidanceScale: item.guidanceScale, seed: item.seed, scheduler: "euler")
        if let control = item.control {
            let root = ControlParityTests.root
            request.controls = [
                Control(
                    network: root.appendingPathComponent(control.network),
                    image: try PNGFile.read(root.appendingPathComponent(control.image)))
            ]
        }
        return request
    }

    static func pipeline(_ model: String, _ item: Case) throws -> StableDiffusionPipeline {
        let loras = try item.adapters.map {
            try LoRA(contentsOf: file($0.file), weight: $0.weight, textWeight: $0.textWeight)
        }
        return try StableDiffusionPipeline(
            PipelineConfiguration(modelFolder: TestCache.folder.appendingPathComponent(model), loras: loras))
    }

    @Test func thereAreCases() { #expect(Self.cases.count == 32, "run Tests/References/adapters.py") }

    @Test(arguments: cases.flatMap { item in item.models.map { ("\(item.name) on \($0)", $0, item) } })
    func sameAsJudges(title: String, model: String, item: Case) throws {
        let pipeline = try Self.pipeline(model, item)
        let image = try pipeline.generate(Self.request(item)).images[0]
        let expected = try PNGFile.read(Self.root.appendingPathComponent(item.picture))
        expectClose(image.pixels, expected.pixels, shape: [expected.height, expected.width, 3], within: 2, "\(title)")
        // Only a graph without names needs the order of its layers, and says so.
        let notes = pipeline.modelNotices.map { "\($0)" }
        #expect(notes.contains { $0.contains("told by order and shape") } == model.contains("nameless"), "\(title): \(notes)")
        #expect(!notes.contains { $0.contains("lacks") }, "\(title): \(notes)")
    }

    /// Other weights than at first give what a pipeline that was loaded with them gives, on the same plans.
    @Test func weightsChangeBetweenRuns() throws {
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya-two" })
        let model = "families/sd1/model"
        let pipeline = try Self.pipeline(model, item)
        let plain = try StableDiffusionPipeline(modelFolder: TestCache.folder.appendingPathComponent(model))
        var request = try Self.request(item)
        func names(_ weights: [(Double, Double)]) -> [AdapterWeight] {
            zip(item.adapters, weights).map {
                AdapterWeight(name: String($0.file.dropLast(".safetensors".count)), weight: $1.0, textWeight: $1.1)
            }
        }
        let first = try pipeline.generate(request).latents
        request.loraWeights = names([(0, 0), (0, 0)])
        #expect(try pipeline.generate(request).latents == plain.generate(Self.request(item)).latents)
        request.loraWeights = names([(1.5, 0.2), (0.25, 0)])
        let changed = try pipeline.generate(request).latents
        var other = item.adapters.map { ($0.file, 0.0, 0.0) }
        (other[0].1, other[0].2, other[1].1) = (1.5, 0.2, 0.25)
        let loras = try other.map { try LoRA(contentsOf: Self.file($0.0), weight: $0.1, textWeight: $0.2) }
        let fresh = try StableDiffusionPipeline(
            PipelineConfiguration(modelFolder: TestCache.folder.appendingPathComponent(model), loras: loras))
        #expect(try changed == fresh.generate(Self.request(item)).latents)
        request.loraWeights = []
        #expect(try pipeline.generate(request).latents == first)
    }

    /// A pipeline that is given other adapters makes what one that was loaded with these does, whatever it had before; one that was made for
    /// none and may get none loads its graphs once.
    @Test(arguments: [
        "families/sd1/model", "adapters/models/sd1-dynamo", "adapters/models/sd1-nameless", "families/sd1-half/model",
    ])
    func adaptersChangeBetweenRuns(model: String) throws {
        let folder = TestCache.folder.appendingPathComponent(model)
        let files = [["sd1-kohya", "sd1-dora"], ["sd1-locon"], ["sd1-full"], [], ["sd1-dora", "sd1-kohya-unet"], ["sd1-all"]]
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya" })
        let request = try Self.request(item)
        let known = try Dictionary(
            uniqueKeysWithValues: Set(files.flatMap { $0 }).map { name in
                (name, try LoRA(contentsOf: Self.file(name + ".safetensors"), weight: 0.7, textWeight: 0.4))
            })
        for takesLoRAs in [true, false] {
            var pipeline = try StableDiffusionPipeline(PipelineConfiguration(modelFolder: folder, takesLoRAs: takesLoRAs))
            let plain = try pipeline.generate(request).latents
            for names in files {
                let loras = names.compactMap { known[$0] }
                pipeline = try pipeline.with(loras: loras)
                #expect(pipeline.configuration.loras.map(\.name) == names)
                let fresh = try StableDiffusionPipeline(
                    PipelineConfiguration(modelFolder: folder, loras: loras, takesLoRAs: true))
                let made = try pipeline.generate(request).latents
                #expect(try made == fresh.generate(request).latents, "\(names)")
                #expect((made == plain) == names.isEmpty, "\(names)")
            }
        }
    }

    /// A pipeline that may get adapters, and has none, makes what one for none does: its graphs are optimised the same way. The embedded model
    /// has weights of half precision that Cast nodes widen. Graphs with channels last are an exception: adapters have them with channels first.
    @Test(
        arguments: [
            "families/sd1/model", "families/sd1-half/model", "families/sd1-half-inside/model", "families/sdxl/model",
            "adapters/models/sd1-dynamo", "adapters/models/sd1-slim",
            "adapters/models/sd2-nameless",
            "emoji",
        ], [false, true])
    func openToAdaptersIsThePlainModel(model: String, savesMemory: Bool) throws {
        let made = try latents(model, savesMemory: savesMemory)
        #expect(made[0] == made[1])
    }

    /// Convolutions over channels that come last are put as ones over channels that come first, in another order of sums.
    @Test(arguments: ["adapters/models/sd1-packed", "adapters/models/sdxl-packed"], [false, true])
    func openToAdaptersIsNearlyThePlainModel(model: String, savesMemory: Bool) throws {
        let made = try latents(model, savesMemory: savesMemory)
        expectClose(made[1].values, made[0].values, shape: made[0].shape, within: Tolerance(ofLargest: 2e-5))
    }

    /// Of the model as it is, and of one that may get adapters.
    private func latents(_ model: String, savesMemory: Bool) throws -> [Latents] {
        let folder =
            model == "emoji"
            ? RepositoryRoot.url.appendingPathComponent("Models/emoji") : TestCache.folder.appendingPathComponent(model)
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya" })
        return try [false, true].map { takesLoRAs in
            let configuration = try PipelineConfiguration(modelFolder: folder, takesLoRAs: takesLoRAs)
            return try StableDiffusionPipeline(configuration, savesMemory: savesMemory).generate(Self.request(item)).latents
        }
    }

    /// Pipelines that share their graphs can run at once, each with its own adapters.
    @Test func pipelinesOfOneModelKeepTheirAdapters() async throws {
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya" })
        let first = try Self.pipeline("families/sd1/model", item)
        let second = try first.with(loras: [LoRA(contentsOf: Self.file("sd1-locon.safetensors"))])
        let none = try second.with(loras: [])
        let alone = try [first, second, none].map { try $0.generate(Self.request(item)).latents }
        let together = try await withThrowingTaskGroup(of: (Int, Latents).self) { group in
            for (index, pipeline) in [first, second, none].enumerated() {
                group.addTask { (index, try pipeline.generate(Self.request(item)).latents) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for index in alone.indices { #expect(together[index] == alone[index]) }
        let other = try LoRA(contentsOf: Self.file("sdxl-all.safetensors"))
        #expect { try first.with(loras: [other]).generate(Self.request(item)) } throws: {
            "\($0)".contains("sdxl-all.safetensors is of another kind of model")
        }
        // What failed half-way leaves nothing behind.
        #expect(try first.generate(Self.request(item)).latents == alone[0])
    }

    /// Runs with different weights at once don't see one another's.
    @Test func runsAtOnceKeepTheirWeights() async throws {
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya" })
        let pipeline = try Self.pipeline("families/sd1/model", item)
        let name = String(item.adapters[0].file.dropLast(".safetensors".count))
        let weights = [0.0, 0.5, 1.0]
        @Sendable func latents(_ weight: Double) throws -> Latents {
            var request = try Self.request(item)
            request.loraWeights = [AdapterWeight(name: name, weight: weight)]
            return try pipeline.generate(request).latents
        }
        let alone = try weights.map(latents)
        let together = try await withThrowingTaskGroup(of: (Int, Latents).self) { group in
            for index in weights.indices { group.addTask { (index, try latents(weights[index])) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for index in weights.indices { #expect(together[index] == alone[index]) }
    }

    /// Tags of the prompt are taken out of it, and add to what an adapter counts.
    @Test func tagsAreTakenOut() throws {
        let item = try #require(Self.cases.first { $0.name == "sd1-kohya-text-weight" })
        let pipeline = try Self.pipeline("families/sd1/model", item)
        let expected = try pipeline.generate(Self.request(item))
        let name = String(item.adapters[0].file.dropLast(".safetensors".count))
        var request = try Self.request(item)
        request.loraWeights = [AdapterWeight(name: name, weight: 0.5, textWeight: 0)]
        request.prompt += "<lora:\(name):0.25:0.3>"
        let tagged = try pipeline.generate(request)
        #expect(tagged.latents == expected.latents)
        #expect(tagged.promptTokenCount == expected.promptTokenCount)
        let record = try #require(tagged.records.first)
        let adapter = try #require(record.loras?.first)
        #expect((adapter.name, adapter.weight, adapter.textWeight) == (name, 0.8, 0.25))
        #expect(record.prompt == request.prompt)
        #expect(record.parameters.contains("Lora hashes: \"\(name): \(adapter.shortHash)\""))
        #expect(record.parameters.hasPrefix(request.prompt + " <lora:\(name):0:0.5>\n"))
        let read = try #require(try GenerationRecord(png: PNGFile.encode(tagged.images[0], text: record.pngText)))
        #expect(read.loras == record.loras)
        request.prompt = "a fox <lora:other:1>"
        #expect { try pipeline.generate(request) } throws: {
            "\($0)".contains("names the LoRA \"other\", and there is \(name)")
        }
        request.promptSyntax = .plain
        _ = try pipeline.configuration.plan(for: request)
    }

    /// An adapter of another kind of model is refused, with the shapes or the names that tell.
    @Test(arguments: [
        ("sd2-all", "families/sd1/model", "is of another kind of model: its difference of"),
        ("sd1-all", "families/sd2/model", "is of another kind of model: its difference of"),
        ("sdxl-all", "families/sd1/model", "is of another kind of model"),
        ("sd1-all", "families/sdxl/model", "is of another kind of model"),
    ]) func otherFamiliesAreRefused(name: String, model: String, message: String) throws {
        let item = try #require(Self.cases.first { $0.name == name })
        #expect {
            _ = try Self.pipeline(model, item)
        } throws: { error in
            let text = "\(error)"
            return text.contains(message) && text.contains(item.adapters[0].file)
        }
    }
}
