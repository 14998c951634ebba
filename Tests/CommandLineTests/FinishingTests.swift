import Foundation
import SDPipeline
import TestSupport
import Testing

/// What `generate` says of the safety checker, of the VAE's tiles, and of small decoders for previews.
@Suite struct FinishingTests {
    private static let families = Program.cache.appendingPathComponent("families")
    private static let checked = families.appendingPathComponent("sd1-safety-rule/model").path

    /// The case "text-batch" of Tests/References/families.py.
    @Test func saysWhatTheSafetyCheckerFlags() throws {
        let folder = try TemporaryFolder()
        let reference = Self.families.appendingPathComponent("sd1-safety-rule/cases.json")
        let content = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: reference)) as? [String: Any])
        let cases = try #require(content["cases"] as? [[String: Any]])
        let expected = try #require(cases.first { $0["name"] as? String == "text-batch" }?["flagged"] as? [Bool])
        let arguments = [
            "generate", "a red apple on a blue background", "-m", Self.checked, "--scheduler", "euler", "--steps", "10",
            "--cfg-scale", "5", "-s", "151", "-b", "6", "-W", "64", "-H", "64", "-o", "x-%d.png", "--json",
        ]
        let outcome = try Program.run(arguments + ["--safety-checker"], in: folder)
        #expect(outcome.code == 0)
        let report = try outcome.json()
        let flagged = try #require(report["flagged"] as? [Bool])
        #expect(flagged == expected && flagged.contains(true) && flagged.contains(false))
        #expect(report["is_flagged"] as? Bool == flagged.first)
        #expect(outcome.messages.contains("The safety checker flagged"))
        for (number, isFlagged) in flagged.enumerated() {
            let bytes = [UInt8](try Data(contentsOf: folder["x-\(number + 1).png"]))
            #expect(try PNGFile.decode(bytes).pixels.allSatisfy { $0 == 0 } == isFlagged)
            #expect(try GenerationRecord(png: bytes)?.isFlagged == isFlagged)
        }
        let plain = try Program.run(arguments, in: folder)
        #expect(try plain.json()["flagged"] == nil && !plain.messages.contains("safety checker"))
    }

    @Test func saysThatTheVAETiles() throws {
        let folder = try TemporaryFolder()
        let arguments = ["generate", "a fox", "--steps", "1", "-s", "1", "-W", "128", "-H", "64", "--json"]
        #expect(try Program.run(arguments, in: folder).json()["vae_tile"] == nil)
        #expect(try Program.run(arguments + ["--vae-tiling", "on"], in: folder).json()["vae_tile"] as? Int == 64)
        #expect(try Program.run(arguments + ["--vae-tiling", "32"], in: folder).json()["vae_tile"] as? Int == 32)
    }

    @Test func refusesWhatCannotBe() throws {
        try expectUsageError(
            ["generate", "x", "--vae-tiling", "small"], saying: "expected auto, on, off or a tile's side in pixels")
        try expectFailure(
            ["generate", "x", "--vae-tiling", "63"], saying: "The VAE's tiles have 63 pixels, expected a multiple of 16.")
        try expectFailure(["generate", "x", "--safety-checker"], saying: "has no safety checker")
        let other = Self.families.appendingPathComponent("vae-other-scale/model").path
        try expectFailure(
            ["generate", "x", "--preview", "p.png", "--preview-with", other], saying: "The decoder for previews")
    }
}
