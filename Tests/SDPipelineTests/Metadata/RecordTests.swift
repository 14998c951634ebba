import Foundation
import SDPipeline
import TestSupport
import Testing

/// What pictures say about themselves.
@Suite struct RecordTests {
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    private func record(_ request: GenerationRequest) throws -> GenerationRecord {
        try #require(StableDiffusionPipeline(modelFolder: Self.model).generate(request).records.last)
    }

    @Test func comesBackFromAPicture() throws {
        let start = try RGBImage(width: 70, height: 64, pixels: [UInt8](repeating: 99, count: 3 * 70 * 64))
        var options = SchedulerStepOptions()
        options.eta = 0.5
        let request = GenerationRequest(
            prompt: "a fox, \"red\"\n猫", negativePrompt: "rain: heavy", steps: 4, guidanceScale: 4.25, seed: .max,
            batchCount: 2,
            scheduler: "ddim", schedulerOverrides: ["timestep_spacing": .text("trailing")], stepOptions: options,
            initialImage: start, strength: 0.5,
            initialLatents: try Latents([Float](repeating: 0.5, count: 2 * 4 * 256), shape: [2, 4, 16, 16]),
            inputFiles: InputFiles(
                initialImage: .init(path: "/home/me/start.png", bytes: [1]), initialLatents: .init(path: "n.npy", bytes: [2])))
        let record = try record(request)
        let file = try PNGFile.encode(start, text: record.pngText)
        #expect(try GenerationRecord(png: file) == record)
        #expect(record.seed == 0 && record.number == 2 && record.batchCount == 2 && record.batchSeeds == .consecutive)
        #expect(record.width == 64 && record.height == 64 && record.model == "emoji" && record.modelHash?.count == 64)
        #expect(record.scheduler == "ddim trailing" && record.schedulerClass == "DDIMScheduler" && record.eta == 0.5)
        #expect(record.initialImage?.name == "start.png" && record.initialLatents?.sha256.count == 64)
        #expect(record.version == ProgramVersion.current && record.strength == 0.5 && !record.isPromptCut)
        let plain = try PNGFile.encode(start)
        #expect(try GenerationRecord(png: plain) == nil)
        expectError("keyNotFound") {
            try GenerationRecord(png: PNGFile.encode(start, text: [PNGText(key: GenerationRecord.pngKey, text: "{}")]))
        }
    }

    /// By the pattern that AUTOMATIC1111's web interface reads such lines with.
    @Test func writesInfotext() throws {
        let request = GenerationRequest(
            prompt: "a fox", negativePrompt: "rain", steps: 3, guidanceScale: 4, seed: 7, batchCount: 2,
            scheduler: "DPM++ 2M Karras")
        let record = try record(request)
        let lines = record.parameters.split(separator: "\n")
        #expect(lines.count == 3 && lines[0] == "a fox" && lines[1] == "Negative prompt: rain")
        let pattern = /\s*(\w[\w \-\/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/
        let pairs = lines[2].matches(of: pattern).map { "\($0.1): \($0.2)" }
        let hash = try #require(record.modelHash).prefix(10)
        #expect(
            pairs == [
                "Steps: 3", "Sampler: DPM++ 2M", "Schedule type: Karras", "CFG scale: 4", "Seed: 8", "Size: 64x64",
                "Model hash: \(hash)", "Model: emoji", "RNG: CPU", "Batch size: 2", "Batch pos: 1",
                "Version: sd-onnx \(ProgramVersion.current)",
            ])
        #expect(pairs.joined(separator: ", ") == lines[2])
        // What has commas or colons is a JSON string.
        var other = record
        (other.model, other.timesteps) = ("a: \"b\"", [999, 500, 0.5])
        #expect(other.parameters.contains("Model: \"a: \\\"b\\\"\", "))
        #expect(other.parameters.contains("Timesteps: \"999,500,0.5\", "))
    }

    /// Three schedulers of one class have three names, each of which the registry takes for the same.
    @Test(arguments: [
        ("dpm++2m", "dpm++2m"), ("DPM++ 2M Karras", "dpm++2m karras"), ("dpmpp_2m_sde_karras", "dpm++ 2m sde karras"),
        ("dpm++ 3m sde exponential", "dpm++3m-sde exponential"), ("DPMSolverMultistepScheduler", "dpm++2m"),
        ("plms", "plms"), ("pndm", "pndm"), ("uni_pc_bh1", "uni_pc_bh1"), ("uni_pc_bh2", "unipc"), ("Euler a", "euler-a"),
        ("euler sgm uniform", "euler sgm uniform"), ("euler trailing", "euler trailing"), ("k_euler", "euler"),
        ("lms karras", "lms karras"),
    ]) func namesSchedulers(given: String, name: String) throws {
        let match = try SchedulerRegistry.standard.find(given)
        let request = GenerationRequest(prompt: "", steps: 4, guidanceScale: 1, scheduler: given)
        let found = try record(request)
        #expect(found.scheduler == name)
        #expect(found.schedulerClass == match.descriptor.className)
        var again = request
        again.scheduler = found.scheduler
        #expect(try record(again).schedulerSettings == found.schedulerSettings)
    }

    @Test func namesWhatWasAskedFor() throws {
        var request = GenerationRequest(prompt: "x", steps: 3, guidanceScale: 1, scheduler: "euler")
        request.timestepRequest = .named(.ays, steps: 3)
        #expect(try record(request).sigmas == "ays")
        request.timestepRequest = .sigmas([10, 2, 0.5, 0])
        let list = try record(request)
        #expect(list.sigmaList == [10, 2, 0.5, 0] && list.steps == 3 && list.sigmas == nil)
        request.stepOptions.churn = 2
        request.stepOptions.noiseScale = 1.1
        let churned = try record(request)
        #expect(churned.churn == 2 && churned.noiseScale == 1.1 && churned.churnMinimumSigma == nil)
    }
}
