import Foundation
import SDPipeline
import Testing

@Suite struct GenerateErrorTests {
    @Test(arguments: [
        ([], "There is no prompt"), (["x", "-p", "y"], "There are two prompts"), (["x", "y"], "Unexpected argument 'y'"),
        (["x", "--nope"], "Unknown option '--nope'"), (["x", "--steps"], "Missing value for '--steps"),
        (["x", "--steps", "0"], "expected a whole number of 1 or more"), (["x", "--steps", "-3"], "The value '-3' is invalid"),
        (["x", "--steps", "2.5"], "expected a whole number"),
        (["x", "--steps", "99999999999999999999"], "expected a whole number"),
        (["x", "--cfg-scale", "nan"], "expected a number such as 7.5"), (["x", "--cfg-scale", "-inf"], "expected a number"),
        (["x", "--cfg-scale", "1e300"], "expected a number"), (["x", "-W", "0"], "expected a whole number from 1 to 16384"),
        (["x", "-H", "-8"], "expected a whole number from 1 to 16384"), (["x", "-W", "100000"], "from 1 to 16384"),
        (["x", "--scheduler", "eulr"], "Did you mean euler"), (["x", "--scheduler", ""], "Known schedulers: ddim"),
        (["x", "-o", ""], "it is empty"), (["x", "-o", "%S.png"], "only %d, %n and %03d"),
        (["x", "-o", "%d-%d.png"], "more than one place"),
        (["x", "-o", "-", "--json"], "choose one"), (["x", "-o", "-", "-b", "2"], "-o - takes one picture"),
        (["x", "-b", "0"], "expected a whole number from 1 to 4096"), (["x", "-b", "-1"], "from 1 to 4096"),
        (["x", "-s", "abc"], "or -1 for a drawn one"), (["x", "-s", "-2"], "or -1"),
        (["x", "-s", "18446744073709551616"], "or -1"),
        (["x", "-t", "0"], "expected a whole number from 1 to 1024"), (["x", "-t", "x"], "from 1 to 1024"),
        (["x", "--save-latents", "-"], "expected a file"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["generate"] + options, saying: part)
    }

    @Test func refusesWrongEnvironment() throws {
        try expectUsageError(["generate", "x"], saying: "SD_ONNX_THREADS is \"x\"", environment: ["SD_ONNX_THREADS": "x"])
        for name in ["sse", "avx2+fp16", "+bf16"] {
            try expectUsageError(["generate", "x"], saying: "SD_ONNX_CPU is \"\(name)\"", environment: ["SD_ONNX_CPU": name])
        }
        try expectFailure(["generate", "x"], saying: "SD_ONNX_MODEL names", environment: ["SD_ONNX_MODEL": "/nowhere"])
    }

    @Test(arguments: [
        (["-W", "63"], "expected a multiple of 16 up to 16384, such as 48 or 64"),
        (["-H", "60"], "expected a multiple of 16 up to 16384, such as 48 or 64"),
        (["-W", "68"], "such as 64 or 80"), (["-W", "3"], "such as 16."), (["-H", "16383"], "such as 16368 or 16384"),
        (["--steps", "1001"], "expected 1 to 1000"), (["--steps", "\(Int.max)"], "expected 1 to 1000"),
        (["-W", "16384", "-H", "16384", "-b", "4096"], "GB of memory"), (["-o", "no/x.png"], "there is no folder"),
        (["-o", "."], "it is a folder"), (["-o", "/dev/null/x.png"], "Not a directory"),
        (["-o", String(repeating: "n", count: 300)], "File name too long"),
        (["--save-latents", "no/x.npy"], "there is no folder"),
        (["--save-latents", "."], "it is a folder"), (["-o", "x", "--save-latents", "./x"], "Two outputs have the name"),
        (["-m", "/nowhere"], "There is no model folder /nowhere"), (["-m", "/dev/null"], "is a file, expected a model folder"),
        (["-m", "."], "has no model_index.json"), (["--init-latents", "no.npy"], "can't be read"),
        (["--init-latents", "."], "can't be read"),
    ]) func failsBeforeTheWork(options: [String], part: String) throws {
        try expectFailure(["generate", "x", "--cfg-scale", "2"] + options, saying: part)
    }

    @Test func refusesWrongLatents() throws {
        let folder = try TemporaryFolder()
        func array(_ name: String, _ dtype: NPYArray.DType, _ shape: [Int], _ byte: UInt8 = 0) throws {
            let count = shape.reduce(1, *) * dtype.size
            try NPYArray(dtype: dtype, shape: shape, data: [UInt8](repeating: byte, count: count)).write(to: folder[name])
        }
        try array("small.npy", .float32, [1, 4, 8, 16])
        try array("integers.npy", .int32, [1, 4, 16, 16])
        // All bits set are a number that is none.
        try array("nan.npy", .float32, [1, 4, 16, 16], 0xFF)
        try Data("hello".utf8).write(to: folder["text.npy"])
        try Data([UInt8](Data(contentsOf: folder["small.npy"])).prefix(300)).write(to: folder["cut.npy"])
        for (name, part) in [
            ("small", "has shape [1, 4, 8, 16], expected [1, 4, 16, 16]"), ("integers", "expected f2, f4 or f8"),
            ("nan", "aren't finite"), ("text", "doesn't begin with numpy's magic string"), ("cut", "the file has"),
        ] {
            try expectFailure(["generate", "x", "--init-latents", "\(name).npy"], saying: part, in: folder)
        }
    }

    /// A latents' file in half precision, and one in double, are as good as one in single.
    @Test func takesLatentsOfOtherPrecisions() throws {
        let folder = try TemporaryFolder()
        for dtype in [NPYArray.DType.float16, .float64] {
            let zeros = [UInt8](repeating: 0, count: 1024 * dtype.size)
            try NPYArray(dtype: dtype, shape: [1, 4, 16, 16], data: zeros).write(to: folder["x.npy"])
            let outcome = try Program.run(
                ["generate", "x", "--steps", "1", "--init-latents", "x.npy", "-o", "x.png"], in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
        }
    }

    @Test func refusesWrongModels() throws {
        let folder = try TemporaryFolder()
        let unet = try Data(contentsOf: Program.emoji.appendingPathComponent("unet/model.onnx"))
        let edits: [(String, (ModelCopy) throws -> Void)] = [
            ("model_index.json can't be used: it isn't JSON", { try $0.replace("model_index.json", with: "{oops") }),
            ("model_index.json isn't a JSON object", { try $0.replace("model_index.json", with: "[]") }),
            ("_class_name is 5, expected a text", { try $0.set("_class_name", 5, in: "model_index.json") }),
            (
                "has no text_encoder_2/model.onnx",
                { try $0.set("_class_name", "StableDiffusionXLPipeline", in: "model_index.json") }
            ),
            (
                "is a StableDiffusion3Pipeline, that is Stable Diffusion 3",
                { try $0.set("_class_name", "StableDiffusion3Pipeline", in: "model_index.json") }
            ),
            ("has no unet/model.onnx", { try $0.remove("unet") }),
            ("has no text_encoder/model.onnx", { try $0.remove("text_encoder") }),
            ("has no vae_decoder/model.onnx", { try $0.remove("vae_decoder") }),
            ("has no folder tokenizer", { try $0.remove("tokenizer") }),
            ("has no scheduler/scheduler_config.json", { try $0.remove("scheduler") }),
            ("unet/model.onnx: the file is empty", { try $0.replace("unet/model.onnx", with: "") }),
            ("is cut off", { try $0.replace("unet/model.onnx", with: unet.prefix(unet.count / 2)) }),
            ("sample_size is 1e+30, expected a whole number", { try $0.set("sample_size", 1e30, in: "unet/config.json") }),
            ("sample_size is true, expected", { try $0.set("sample_size", true, in: "unet/config.json") }),
            ("sample_size is \"big\", expected", { try $0.set("sample_size", "big", in: "unet/config.json") }),
            (
                "sample_size is a list of 3 elements, expected",
                { try $0.set("sample_size", [8, 8, 8], in: "unet/config.json") }
            ),
            ("or a height and a width", { try $0.set("sample_size", [8, 0], in: "vae_decoder/config.json") }),
            ("(9 channels): the request has no mask", { try $0.set("in_channels", 9, in: "unet/config.json") }),
            ("takes 8 channels", { try $0.set("in_channels", 8, in: "unet/config.json") }),
            ("scaling_factor is 0.0", { try $0.set("scaling_factor", 0, in: "vae_decoder/config.json") }),
            (
                "expected a list of 1 to 12",
                { try $0.set("block_out_channels", [Int](repeating: 1, count: 40), in: "vae_decoder/config.json") }
            ),
            (
                "its configuration says a factor of 8",
                { try $0.set("block_out_channels", [1, 1, 1, 1], in: "vae_decoder/config.json") }
            ),
            ("max_position_embeddings is -1", { try $0.set("max_position_embeddings", -1, in: "text_encoder/config.json") }),
            ("beta_start is \"x\"", { try $0.set("beta_start", "x", in: "scheduler/scheduler_config.json") }),
            ("num_train_timesteps is 0", { try $0.set("num_train_timesteps", 0, in: "scheduler/scheduler_config.json") }),
            (
                "names the scheduler \"FooScheduler\"",
                { try $0.set("_class_name", "FooScheduler", in: "scheduler/scheduler_config.json") }
            ),
            ("vocab.json can't be used", { try $0.replace("tokenizer/vocab.json", with: "{\"a\": \"b\"}") }),
        ]
        for (part, edit) in edits {
            let model = try folder.model(edit)
            try expectFailure(["generate", "x", "--steps", "1", "-o", "x.png", "-m", model.path], saying: part, in: folder)
        }
    }

    /// Neither a full nor a closed output leaves a half file, and each has its exit code.
    @Test func survivesClosedStreams() throws {
        let folder = try TemporaryFolder()
        let quick = "--steps 1 --seed 1"
        let closed = try Program.shell(
            "{ \"$P\" generate x \(quick) -o - --save-latents x.npy; echo $? >code; } | head -c 0", in: folder)
        #expect(closed.messages.contains("Error: Standard output can't be written: "))
        #expect(try String(contentsOf: folder["code"], encoding: .utf8) == "1\n")
        #expect(folder.names == ["code", "x.npy"])
        for redirection in [">/dev/full", ">&-"] {
            let outcome = try Program.shell("\"$P\" generate x \(quick) --quiet -o - \(redirection)", in: folder)
            #expect(outcome.code == 1 && outcome.lines.count == 1)
            #expect(outcome.messages.hasPrefix("Error: Standard output can't be written: "))
        }
        // Nobody reads the progress: the picture is made all the same.
        let silent = try Program.shell("\"$P\" generate x --steps 20 --seed 1 -o x.png 2>&1 | head -n 1", in: folder)
        #expect(silent.text.hasPrefix("Steps 2/20") && FileManager.default.fileExists(atPath: folder["x.png"].path))
        #expect(try Program.shell("\"$P\" generate x \(quick) -o y.png 2>&-", in: folder).code == 0)
    }

    /// What was there stays when a run fails.
    @Test func keepsOldFilesOnFailure() throws {
        let folder = try TemporaryFolder()
        try Data("old".utf8).write(to: folder["x.png"])
        try expectFailure(["generate", "x", "-o", "x.png", "-H", "60", "--steps", "1"], saying: "a multiple of 16", in: folder)
        #expect(try String(contentsOf: folder["x.png"], encoding: .utf8) == "old")
    }

    /// Numbers that aren't finite become no pixel of any output: no file is left.
    @Test(arguments: [
        ["-o", "x.png"], ["-o", "x.png", "--save-steps", "steps"], ["-o", "x.png", "--strip", "strip.png"],
        ["-o", "x.png", "--preview", "p.png"], ["-o", "x.png", "--preview", "p.png", "--preview-with", "vae"],
        ["-o", "x.png", "--scheduler", "euler,ddim"], ["-o", "-"],
    ]) func makesNoPixelOfNaN(options: [String]) throws {
        let folder = try TemporaryFolder()
        let fixtures = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/not-finite")
        let model = try folder.model {
            try $0.replace(
                "vae_decoder/model.onnx", with: Data(contentsOf: fixtures.appendingPathComponent("vae_decoder-nan.onnx")))
        }
        try expectFailure(
            ["generate", "x", "--steps", "2", "-m", model.path] + options, saying: "NaN begin at Log-17 \"/decoder/mid/Log\"",
            in: folder)
        if options.count == 2 {
            try PNGFile.write(
                RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: 9, count: 3 * 64 * 64)), to: folder["a.png"])
            try expectFailure(
                ["noise", "a.png", "--latent", "-m", model.path], saying: "The VAE decoder answers numbers that aren't finite",
                in: folder)
        }
    }
}
