import Foundation
import SDPipeline
import TestSupport
import Testing

/// What `FamilyParityTests` leaves: models without a safety checker, and pictures on the way.
@Suite struct SafetyCheckerTests {
    private static let checked = FamilyParityTests.root.appendingPathComponent("sd1-safety-rule/model")

    @Test func saysWhereThereIsNone() throws {
        var request = GenerationRequest(prompt: "a fox", steps: 1)
        request.checksSafety = true
        let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")
        let error = #expect(throws: PipelineError.self) { try PipelineConfiguration(modelFolder: model).plan(for: request) }
        #expect(error?.kind == .missingFile)
        #expect(error?.message.contains("has no safety checker (safety_checker/model.onnx)") == true)
    }

    /// Nothing is checked where nobody asks; what is kept of the way to a flagged picture is black, too.
    @Test func blackensPicturesOnTheWay() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.checked)
        var request = GenerationRequest(
            prompt: "a red apple on a blue background", width: 64, height: 64, steps: 3, guidanceScale: 5, seed: 151,
            batchCount: 6)
        request.previewInterval = 1
        let plain = try pipeline.generate(request)
        #expect(plain.flagged == nil && plain.records.allSatisfy { $0.isFlagged == nil })
        request.checksSafety = true
        let result = try pipeline.generate(request)
        let flagged = try #require(result.flagged)
        #expect(flagged.contains(true) && flagged.contains(false))
        #expect(plain.previews.count > 3 && result.previews.count == plain.previews.count)
        for (number, isFlagged) in flagged.enumerated() {
            let black = [UInt8](repeating: 0, count: 64 * 64 * 3)
            #expect(result.images[number].pixels == (isFlagged ? black : plain.images[number].pixels))
            for (made, checked) in zip(plain.previews, result.previews) {
                #expect(checked.images[number].pixels == (isFlagged ? black : made.images[number].pixels))
            }
        }
    }

    /// What `preprocessor_config.json` says that can't be.
    @Test(arguments: [
        (#"{"size": {"longest_edge": 32}}"#, "size has [\"longest_edge\"], expected shortest_edge, or height and width"),
        (#"{"size": "big"}"#, "size is \"big\", expected an object of whole numbers"),
        (#"{"crop_size": {"height": 0, "width": 32}}"#, "crop_size is 0, expected whole numbers from 1 to 4096"),
        (#"{"resample": 0}"#, "resample is 0, the nearest pixel, expected a filter: 1 to 5"),
        (#"{"image_std": [0, 1, 1]}"#, "image_std is [0.0, 1.0, 1.0], expected numbers other than 0"),
        (#"{"image_mean": [0, 1]}"#, "image_mean is a list of 2 elements, expected a list of 3 numbers"),
    ])
    func refusesSettings(json: String, message: String) throws {
        let folder = try TemporaryFolder()
        let model = folder.url.appendingPathComponent("model")
        try FileManager.default.copyItem(at: Self.checked, to: model)
        try Data(json.utf8).write(to: model.appendingPathComponent("feature_extractor/preprocessor_config.json"))
        var request = GenerationRequest(prompt: "a fox", steps: 1)
        request.checksSafety = true
        let error = #expect(throws: PipelineError.self) { try PipelineConfiguration(modelFolder: model).plan(for: request) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
