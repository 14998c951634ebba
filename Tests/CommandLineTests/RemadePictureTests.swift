import Foundation
import SDPipeline
import Testing

/// A picture can be made again from what it says about itself: the same pixels, byte by byte.
@Suite struct RemadePictureTests {
    /// The command that a record stands for.
    private func arguments(_ record: GenerationRecord) throws -> [String] {
        var result = [
            "generate", "--prompt", record.prompt, "--negative-prompt", record.negativePrompt, "--steps", "\(record.steps)",
            "--cfg-scale", "\(record.guidanceScale)", "--seed", "\(record.seed)", "--width", "\(record.width)", "--height",
            "\(record.height)", "--scheduler", record.scheduler, "--precision", record.precision, "--threads",
            "\(record.threads)", "--tokenizer", record.tokenizer, "--half-rounding", record.halfRounding,
        ]
        if record.batchSeeds == .shared { result += ["--batch-seeds", "shared", "-b", "\(record.batchCount)"] }
        if record.savesMemory { result.append("--low-memory") }
        let flags = [
            "use_karras_sigmas": "karras", "use_exponential_sigmas": "exponential", "use_beta_sigmas": "beta",
            "use_lu_lambdas": "lu", "use_flow_sigmas": "flow",
        ]
        for (key, value) in record.schedulerOverrides {
            if let name = flags[key] {
                result += ["--sigmas", name]
                continue
            }
            let option = try #require(["timestep_spacing": "--timestep-spacing", "prediction_type": "--prediction"][key])
            guard case .text(let text) = value else {
                Issue.record("\(key) is \(value)")
                continue
            }
            result += [option, text]
        }
        func list(_ values: [Double]) -> String { values.map { "\($0)" }.joined(separator: ",") }
        let optional: [(String, String?)] = [
            ("--sigmas", record.sigmas), ("--sigmas", record.sigmaList.map(list)), ("--timesteps", record.timesteps.map(list)),
            ("--eta", record.eta.map { "\($0)" }), ("--s-churn", record.churn.map { "\($0)" }),
            ("--s-tmin", record.churnMinimumSigma.map { "\($0)" }), ("--s-tmax", record.churnMaximumSigma.map { "\($0)" }),
            ("--s-noise", record.noiseScale.map { "\($0)" }), ("--strength", record.strength.map { "\($0)" }),
            ("--prompt-syntax", record.promptSyntax), ("--clip-skip", record.clipSkip.map { "\($0)" }),
            ("--init-img", record.initialImage?.name), ("--init-latents", record.initialLatents?.name),
        ]
        for (option, value) in optional { if let value { result += [option, value] } }
        return result
    }

    @Test(arguments: [
        ["a fox", "-n", "rain, \"wet\": cold", "--steps", "5", "--cfg-scale", "4.25", "-s", "18446744073709551615"],
        ["a fox", "--scheduler", "DPM++ 2M SDE Karras", "--steps", "6", "-s", "3", "-W", "96", "-H", "48"],
        [
            "", "--scheduler", "euler", "--sigmas", "ays", "--steps", "5", "--s-churn", "3", "--s-tmin", "0.1", "--s-tmax", "9",
            "--s-noise", "1.05",
        ],
        ["a fox", "--scheduler", "euler", "--sigmas", "14.6,3.9,0.5,0"],
        ["a fox", "--scheduler", "ddim", "--eta", "0.7", "--steps", "4", "--cfg-scale", "1", "-s", "2"],
        ["a fox", "--scheduler", "ddpm", "--timesteps", "900,600,300,10", "--cfg-scale", "3", "-s", "2"],
        ["a fox", "--scheduler", "dpm++2m", "--sigmas", "exponential", "--prediction", "epsilon", "--steps", "4", "-t", "1"],
        ["an owl", "--scheduler", "uni_pc_bh1", "--timestep-spacing", "trailing", "--steps", "4", "--low-memory"],
        ["a fox", "--init-img", "start.png", "--strength", "0.6", "--steps", "8", "--scheduler", "euler a"],
        ["a fox", "--init-img", "start.png", "--init-latents", "noise.npy", "-W", "64", "--steps", "4", "--scheduler", "plms"],
        ["a fox", "--scheduler", "euler align your steps", "--steps", "6", "-s", "4"],
        ["狐 👨‍👩‍👧", "--tokenizer", "transformers4", "--steps", "3", "-s", "1"],
        ["a fox", "--scheduler", "dpm++sde", "--steps", "3", "-b", "3", "-s", "9"],
        ["a fox", "--scheduler", "euler a", "--steps", "3", "-b", "3", "-s", "9", "--batch-seeds", "shared"],
        ["a (fox:1.3), [red|blue] AND an [owl:crab:0.5] :0.5", "-n", "[rain]", "--steps", "4", "-s", "9", "--clip-skip", "2"],
        ["a (fox:1.3)", "--prompt-syntax", "plain", "--steps", "3", "-s", "9"],
        ["a fox", "--prompt-syntax", "a1111", "--steps", "3", "-s", "9"],
    ]) func givesTheSamePixels(options: [String]) throws {
        let folder = try TemporaryFolder()
        let pixels = (0..<3 * 70 * 50).map { UInt8($0 * 7 % 256) }
        try PNGFile.write(RGBImage(width: 70, height: 50, pixels: pixels), to: folder["start.png"])
        var generator = TorchGenerator(seed: 3)
        try NPYArray(floats: generator.randn(count: 4 * 12 * 16), shape: [1, 4, 12, 16]).write(to: folder["noise.npy"])
        let made = try Program.run(["generate"] + options + ["-o", "x-%d.png", "--json"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let files = try #require(try made.json()["files"] as? [String])
        let file = try #require(files.last)
        let record = try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: URL(filePath: file)))))
        #expect(record.number == files.count)
        #expect(record.version == ProgramVersion.current && record.modelHash?.count == 64)
        let again = try arguments(record)
        let remade = try Program.run(again + ["-o", "y-%d.png", "--json"], in: folder)
        #expect(remade.code == 0, "\(again): \(remade.messages)")
        let last = try #require(try remade.json()["files"] as? [String]).last
        let (first, second) = (try PNGFile.read(URL(filePath: file)), try PNGFile.read(URL(filePath: try #require(last))))
        #expect(first == second, "\(again)")
    }

    /// JSON on standard output says of the first picture what its PNG says.
    @Test func saysTheSameInBothPlaces() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "generate", "a fox", "-b", "2", "--steps", "2", "-s", "4", "--scheduler", "dpm++2m karras", "-o", "x.png",
                "--json",
            ],
            in: folder)
        let printed = try JSONDecoder().decode(GenerationRecord.self, from: outcome.output)
        let stored = try ["x.png", "x_2.png"].map { name in
            try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: folder[name]))))
        }
        #expect(printed == stored[0])
        #expect(stored.map(\.seed) == [4, 5])
        #expect(stored.map(\.number) == [1, 2])
        let told = try Program.run(["generate", "x", "-b", "2", "--steps", "1", "-s", "4", "-o", "y.png"], in: folder)
        #expect(told.messages.contains("(seeds 4 to 5, ddim): "))
    }
}
