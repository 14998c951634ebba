import Foundation
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// What onnx reads from the embedded U-Net's file: `len(model.graph.node)` and `sum(prod(t.dims) for t in model.graph.initializer)`.
private enum UNetFigures {
    static let nodes = 2112
    static let parameters = 10_934_404
}

@Suite struct InspectTests {
    private static let unet = Program.emoji.appendingPathComponent("unet/model.onnx").path
    private static func fixture(_ name: String) -> String { Program.fixtures.appendingPathComponent(name).path }

    @Test func summarises() throws {
        let outcome = try Program.run(["inspect", Self.unet, "--json"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let summary = try #require(try outcome.json()["summary"] as? [String: Any])
        #expect(summary["node_count"] as? Int == UNetFigures.nodes && summary["parameters"] as? Int == UNetFigures.parameters)
        #expect(summary["ir_version"] as? Int == 8 && summary["producer"] as? String == "pytorch 2.15.0")
        #expect((summary["missing"] as? [String])?.isEmpty == true)
        let inputs = try #require(summary["inputs"] as? [[String: Any]])
        #expect(inputs.first?["type"] as? String == "float32[batch_size, 4, height, width]")
        let text = try Program.run(["inspect", Self.unet], in: TemporaryFolder())
        #expect(
            text.text.contains("sample: float32[batch_size, 4, height, width]") && text.text.contains("missing     nothing"))
    }

    @Test func summarisesFolders() throws {
        let outcome = try Program.run(["inspect", Program.emoji.path], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.text.contains("StableDiffusionPipeline, 4 graphs"))
        let json = try Program.run(["inspect", Program.emoji.path, "--json"], in: TemporaryFolder())
        let components = try #require(try json.json()["components"] as? [[String: Any]])
        #expect(
            components.compactMap { $0["component"] as? String } == ["text_encoder", "unet", "vae_decoder", "vae_encoder"])
    }

    @Test func namesWhatIsMissing() throws {
        let outcome = try Program.run(["inspect", Self.fixture("unknown.onnx")], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.text.contains("NoSuchOperator"))
        try expectFailure(
            ["inspect", Self.fixture("unknown.onnx"), "--optimized"], saying: "NoSuchOperator")
    }

    @Test func showsNodesAndWeights() throws {
        let outcome = try Program.run(["inspect", Self.fixture("names.onnx"), "--graph", "--weights"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.text.contains("Add-18 (a, b) → s: float32[n, 3]"), "\(outcome.text)")
        let weights = try Program.run(["inspect", Self.unet, "--weights", "--json"], in: TemporaryFolder())
        let list = try #require(try weights.json()["weights"] as? [[String: Any]])
        #expect(list.count > 100 && list.allSatisfy { $0["nan"] as? Int == 0 })
    }

    @Test func reportsFusions() throws {
        let outcome = try Program.run(
            ["inspect", Program.emoji.path, "--component", "unet", "--optimized", "--json"], in: TemporaryFolder())
        #expect(outcome.code == 0)
        let optimized = try #require(try outcome.json()["optimized"] as? [String: Any])
        let fired = try #require(optimized["fired"] as? [[String: Any]])
        let fusions = try #require(optimized["fusions"] as? [[String: Any]])
        #expect(fusions.contains { $0["fusion"] as? String == "Attention" } && !fired.isEmpty)
        #expect(try #require(optimized["node_count"] as? Int) < UNetFigures.nodes)
    }

    @Test func draws() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "inspect", Program.emoji.path, "--component", "unet", "--svg", "u.svg", "--dot", "u.dot", "--plan", "m.svg",
                "--optimized",
            ], in: folder)
        #expect(outcome.code == 0 && folder.names == ["m.svg", "u.dot", "u.svg"])
        for name in ["u.svg", "m.svg"] {
            let parser = XMLParser(data: try Data(contentsOf: folder[name]))
            #expect(parser.parse(), "\(name): \(String(describing: parser.parserError))")
        }
        let dot = try String(contentsOf: folder["u.dot"], encoding: .utf8)
        #expect(dot.contains("/down_blocks.0") && dot.split(separator: "\n").count < 400)
        let printed = try Program.run(["inspect", Self.unet, "--dot", "-", "--depth", "1"], in: folder)
        #expect(printed.code == 0 && printed.text.hasPrefix("digraph ") && printed.text.contains("/mid_block"))
    }

    /// Without its external data a model is shown all the same; what isn't known for that is said once.
    @Test func worksWithoutExternalData() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(
            at: URL(fileURLWithPath: Self.fixture("habits/external-length-0.onnx")), to: folder["m.onnx"])
        let gap =
            "the file \"w.bin\" of external data doesn't exist: of 1 tensor (24 bytes) types and shapes are known, values aren't"
        let text = try Program.run(["inspect", "m.onnx", "--weights", "--graph", "--svg", "m.svg"], in: folder)
        #expect(text.code == 0 && text.messages.isEmpty, "\(text.messages)")
        #expect(text.text.contains("\ndata        \(gap)\n") && text.text.contains("6 in 24 bytes: float32 6"))
        #expect(text.text.components(separatedBy: "w.bin").count == 2)
        #expect(text.text.contains(#/w\s+float32\[6\](\s+-){7}/#), "\(text.text)")
        let svg = try Data(contentsOf: folder["m.svg"])
        #expect(XMLParser(data: svg).parse())

        let printed = try Program.run(["inspect", "m.onnx", "--dot", "-"], in: folder)
        #expect(printed.code == 0 && printed.text.hasPrefix("digraph "))
        #expect(printed.messages == "T\(gap.dropFirst()).\n")
        let json = try Program.run(["inspect", "m.onnx", "--json", "--weights"], in: folder)
        #expect(json.code == 0 && json.messages.isEmpty)
        let summary = try #require(try json.json()["summary"] as? [String: Any])
        let missing = try #require(summary["missing_data"] as? [[String: Any]])
        #expect(missing.count == 1 && missing[0]["tensors"] as? Int == 1 && missing[0]["bytes"] as? Int == 24)
        #expect(missing[0]["location"] as? String == "w.bin")
        let weights = try #require(try json.json()["weights"] as? [[String: Any]])
        #expect(weights[0]["name"] as? String == "w" && weights[0]["shape"] as? [Int] == [6] && weights[0]["nan"] == nil)

        // With the data, the drawing is the same; cut off, it is as without.
        try FileManager.default.copyItem(at: URL(fileURLWithPath: Self.fixture("habits/w.bin")), to: folder["w.bin"])
        let whole = try Program.run(["inspect", "m.onnx", "--svg", "m.svg"], in: folder)
        #expect(whole.code == 0 && !whole.text.contains("w.bin"))
        #expect(try Data(contentsOf: folder["m.svg"]) == svg)
        try Data(contentsOf: folder["w.bin"]).prefix(20).write(to: folder["w.bin"])
        let cut = try Program.run(["inspect", "m.onnx"], in: folder)
        #expect(cut.code == 0 && cut.text.contains("\"w.bin\" of external data ends after 20 bytes: of 1 tensor"))
        for options in [["--optimized"], ["--plan", "p.svg"]] {
            try expectFailure(["inspect", "m.onnx"] + options, saying: "depend on the values in it", in: folder)
        }
    }

    /// Of a pipeline's folder, the other graphs are shown as ever.
    @Test func worksWithoutTheExternalDataOfAComponent() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model {
            try $0.replace(
                "unet/model.onnx", with: Data(contentsOf: URL(fileURLWithPath: Self.fixture("habits/external-length-0.onnx"))))
        }
        let outcome = try Program.run(["inspect", model.path], in: folder)
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        #expect(outcome.text.contains("StableDiffusionPipeline, 4 graphs"))
        #expect(outcome.text.components(separatedBy: "\ndata ").count == 2)
    }

    @Test(arguments: [
        (["--svg", "-"], "--svg is -"), (["--plan", ""], "--plan is empty"), (["--depth", "2"], "add --dot or --svg"),
        (["--shape", "a=1"], "--shape needs --optimized or --plan"), (["--dot", "-", "--json"], "name a file for it"),
        (["--dot", "x", "--svg", "./x"], "give them different files"), (["--depth", "0", "--svg", "x"], "from 1 to 64"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["inspect", "m.onnx"] + options, saying: part)
    }

    @Test func refusesWrongModels() throws {
        try expectUsageError(["inspect", Program.emoji.path, "--graph"], saying: "add --component")
        try expectFailure(["inspect", "no.onnx"], saying: "No such file")
        // Names stay as they were given, at a sentence's start too.
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(at: Program.emoji, to: folder["emoji"])
        try expectFailure(["bench", "emoji", "--component", "no"], saying: "Error: emoji has no component", in: folder)
        let torch = folder["emoji/unet/diffusion_pytorch_model.safetensors"]
        for name in ["text_encoder", "unet", "vae_decoder", "vae_encoder"] {
            try FileManager.default.removeItem(at: folder["emoji/\(name)/model.onnx"])
        }
        try expectFailure(["inspect", "emoji"], saying: "has no unet/model.onnx", in: folder)
        try Data("x".utf8).write(to: torch)
        try expectFailure(["inspect", "emoji"], saying: "optimum-cli export onnx --model", in: folder)
        try expectFailure(["inspect", Self.fixture("names.onnx"), "--component", "unet"], saying: "is a file")
        try expectFailure(["inspect", Self.fixture("names.onnx"), "--svg", "no/x.svg"], saying: "there is no folder")
        try expectFailure(["inspect", Self.fixture("unranked.onnx"), "--optimized"], saying: "add --shape a=2,4,64,64")
    }
}
