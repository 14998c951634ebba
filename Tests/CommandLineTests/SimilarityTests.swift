import Foundation
import SDPipeline
import Testing

/// `similarity`, and `generate --best-of`.
@Suite struct SimilarityTests {
    static let fixtures = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/clip")

    /// A model of one graph, with the tokenizer that the fixture lacks.
    private func model(in folder: TemporaryFolder) throws -> String {
        let url = folder["clip"]
        try FileManager.default.copyItem(at: Self.fixtures.appendingPathComponent("one"), to: url)
        for file in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
            try FileManager.default.copyItem(
                at: Program.root.appendingPathComponent("Models/emoji/tokenizer/\(file)"), to: url.appendingPathComponent(file))
        }
        return url.path
    }

    @Test func comparesPicturesWithTexts() throws {
        let data = try Data(contentsOf: Self.fixtures.appendingPathComponent("similarities.json"))
        let all = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let texts = try #require(all["texts"] as? [String])
        let expected = try #require((all["cases"] as? [[String: Any]])?.first)
        let pictures = try #require(expected["pictures"] as? [[String: Any]])
        let files = pictures.compactMap { ($0["file"] as? String).map { Self.fixtures.appendingPathComponent($0).path } }
        let folder = try TemporaryFolder()
        let arguments = ["similarity"] + files + texts.flatMap { ["--text", $0] } + ["--model", try model(in: folder)]
        let outcome = try Program.run(arguments + ["--json", "--rank"], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let answer = try outcome.json()
        let scale = try #require(answer["logit_scale"] as? Double)
        #expect(abs(scale - (try #require(expected["logit_scale"] as? Double))) < 1e-4)
        let found = try #require(answer["pictures"] as? [[String: Any]])
        for (one, other) in zip(found, pictures) {
            for key in ["cosines", "shares"] {
                let (a, b) = (try #require(one[key] as? [Double]), try #require(other[key] as? [Double]))
                #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 } && a.count == 4)
            }
        }
        let table = try Program.run(arguments, in: folder)
        #expect(table.code == 0 && table.text.split(separator: "\n").count == 41)
        let ranked = try Program.run(arguments + ["--rank"], in: folder)
        let best = try #require(
            zip(files, pictures).max { a, b in
                ((a.1["cosines"] as? [Double])?[0] ?? 0) < ((b.1["cosines"] as? [Double])?[0] ?? 0)
            })
        #expect(ranked.text.split(separator: "\n")[1].hasSuffix(best.0))
        let ranking = try #require(answer["ranking"] as? [[String]])
        #expect(ranking.count == 4 && ranking[0].count == 10 && ranking[0][0] == best.0)
        // With another scale the shares change, and the cosines don't.
        let flat = try Program.run(arguments + ["--json", "--logit-scale", "1e-9"], in: folder).json()
        let first = try #require((flat["pictures"] as? [[String: Any]])?.first)
        #expect(first["cosines"] as? [Double] == found[0]["cosines"] as? [Double])
        #expect(try #require(first["shares"] as? [Double]).allSatisfy { abs($0 - 0.25) < 1e-6 })
    }

    @Test func keepsTheBestPicture() throws {
        let folder = try TemporaryFolder()
        let models = try TemporaryFolder()
        let clip = try model(in: models)
        let options = ["(a fox:1.1)", "--steps", "2", "--cfg-scale", "3", "-s", "7"]
        let made = try Program.run(
            ["generate"] + options + ["--best-of", "4", "--clip", clip, "-o", "best.png", "--json"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        #expect(folder.names == ["best.png"])
        _ = try Program.run(["generate"] + options + ["-b", "4", "-o", "x-%d.png"], in: folder)
        let files = (1...4).map { "x-\($0).png" }
        let compared = try Program.run(
            ["similarity"] + files + ["--text", "a fox", "--model", clip, "--json"], in: folder
        ).json()
        let cosines = try #require(compared["pictures"] as? [[String: Any]]).compactMap { ($0["cosines"] as? [Double])?.first }
        let best = try #require(cosines.indices.max { cosines[$0] < cosines[$1] })
        #expect(try PNGFile.read(folder["best.png"]) == PNGFile.read(folder[files[best]]))
        #expect(try Data(contentsOf: folder["best.png"]) == Data(contentsOf: folder[files[best]]))
    }

    @Test func refusesWhatMakesNoSense() throws {
        for (arguments, sentence) in [
            (["generate", "x", "--best-of", "3"], "--best-of needs a CLIP model: --clip."),
            (["generate", "x", "--clip", "d"], "--clip has no effect without --best-of: give both."),
            (["generate", "x", "--best-of", "3", "--clip", "d", "-b", "2"], "--best-of makes one picture"),
            (["generate", "x", "--best-of", "3", "--clip", "d", "-o", "%s.png"], "doesn't go with %s in -o"),
            (["similarity", "a.png", "--model", "d"], "Missing expected argument '--text"),
            (
                ["similarity", "a.png", "--text", "x", "--model", "d", "--logit-scale", "0"],
                "--logit-scale is 0.0, expected a number above 0."
            ),
        ] {
            try expectUsageError(arguments, saying: sentence)
        }
        let folder = try TemporaryFolder()
        let none = try Program.run(["similarity", "a.png", "--text", "x", "--model", "none"], in: folder)
        #expect(none.code == 1 && none.messages.contains("has no graph of CLIP"))
        let missing = try Program.run(["generate", "x", "--best-of", "2", "--clip", "none", "-o", "y.png"], in: folder)
        #expect(missing.code == 1 && missing.messages.contains("has no graph of CLIP") && folder.names.isEmpty)
    }
}
