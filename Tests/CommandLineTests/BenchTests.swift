import Foundation
import GraphRuntime
import SDPipeline
import Testing

@Suite struct BenchTests {
    private static func fixture(_ name: String) -> String { Program.fixtures.appendingPathComponent(name).path }

    private static let rowKeys: Set = [
        "type", "calls", "total_ms", "mean_ms", "p95_ms", "stdev_ms", "min_ms", "share", "gflop", "gflops", "share_of_peak",
        "gb_per_s",
        "allocated_bytes", "kernels",
    ]

    private func check(_ report: [String: Any], iterations: Int) throws {
        let figures = ["median_ms", "mean_ms", "p95_ms", "min_ms", "max_ms", "load_ms"]
        #expect(
            Set(report.keys)
                == Set(figures).union([
                    "stdev_ms", "specialise_ms", "plan_ms", "run_ms", "peak_bytes", "iterations", "operators", "interpreter",
                    "by", "precision", "machine", "inputs", "model", "pace_ms", "program_version", "low_memory", "optimize",
                    "half_rounding", "weights",
                ]))
        for key in figures { #expect(try #require(report[key] as? Double) > 0) }
        #expect(report["iterations"] as? Int == iterations)
        #expect((report["run_ms"] as? [Double])?.count == iterations)
        #expect(try #require(report["peak_bytes"] as? Int) > 0)
        let operators = try #require(report["operators"] as? [[String: Any]])
        #expect(!operators.isEmpty)
        for row in operators {
            #expect(Set(row.keys) == Self.rowKeys)
            #expect(try #require(row["calls"] as? Int) >= 1)
        }
        let interpreter = try #require(report["interpreter"] as? [String: Double])
        #expect(Set(interpreter.keys) == ["total_ms", "share", "us_per_call"])
        #expect(interpreter.values.allSatisfy { $0 >= 0 } && (interpreter["share"] ?? 1) < 1)
        let shares = operators.compactMap { $0["share"] as? Double }
        #expect(abs(shares.reduce(0, +) - 1) < 1e-6 && shares == shares.sorted(by: >))
        let machine = try #require(report["machine"] as? [String: Any])
        #expect(try #require(machine["peak_gflops"] as? Double) > 0 && #require(machine["peak_gb_per_s"] as? Double) > 0)
    }

    /// The spread of a pipeline's operators is that of whole pictures: the 95th percentile isn't below the mean.
    @Test func spreadsOverPictures() throws {
        let outcome = try Program.run(
            ["bench", Program.emoji.path, "--steps", "2", "--iterations", "2", "--json", "-"], in: TemporaryFolder())
        let operators = try #require(try outcome.json()["operators"] as? [[String: Any]])
        for row in operators {
            let (total, p95) = (try #require(row["total_ms"] as? Double), try #require(row["p95_ms"] as? Double))
            #expect(p95 >= total * (1 - 1e-9), "\(row)")
        }
    }

    /// The batch that one input's shape states is the other inputs' too.
    @Test func statedExtentsHoldForAllInputs() throws {
        let outcome = try Program.run(
            [
                "bench", Program.emoji.path, "--component", "unet", "--iterations", "1", "--warmup", "0", "--shape",
                "sample=3,4,8,8",
            ],
            in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.contains("taken as [3, 32, 160]"), "\(outcome.messages)")
    }

    @Test func timesAModel() throws {
        let folder = try TemporaryFolder()
        let model = Program.emoji.appendingPathComponent("vae_decoder/model.onnx").path
        let outcome = try Program.run(
            [
                "bench", model, "--shape", "latent_sample=1,4,8,8", "--iterations", "3", "--warmup", "0", "--threads", "1",
                "--json", "b.json",
            ],
            in: folder)
        #expect(outcome.code == 0 && outcome.messages.isEmpty, "\(outcome.messages)")
        let lines = outcome.text.split(separator: "\n")
        #expect(
            lines.first?.split(separator: " ").joined(separator: " ")
                == "operator calls total ms mean ms share ± ms GFLOP GFLOP/s of peak GB/s MB alloc kernel")
        let kernel = outcome.text.contains("machine: plain") ? "im2col + GEMM" : "Winograd 4×4"
        #expect(lines.contains { $0.hasPrefix("Conv") && $0.contains(kernel) })
        #expect(lines.contains { $0.hasPrefix("interpreter") } && !outcome.text.contains("\u{1B}"))
        #expect(lines.contains { $0.hasPrefix("median ") && $0.contains("p95") && $0.contains("over 3 runs") })
        #expect(lines.contains { $0.hasPrefix("load ") && $0.contains("specialise") && $0.contains("plan") })
        let content = try Data(contentsOf: folder["b.json"])
        try check(try #require(try JSONSerialization.jsonObject(with: content) as? [String: Any]), iterations: 3)
        #expect(folder.names == ["b.json"])
    }

    @Test func printsJSON() throws {
        let outcome = try Program.run(
            ["bench", Self.fixture("names.onnx"), "--iterations", "2", "--json", "-", "--no-optimize"], in: TemporaryFolder())
        #expect(outcome.code == 0)
        #expect(outcome.lines == ["The input \"a\" is declared as [n, 3] and taken as [1, 3]."])
        try check(try outcome.json(), iterations: 2)
        let sequence = try Program.run(
            ["bench", Self.fixture("sequence.onnx"), "--shape", "a=5", "--json", "-"], in: TemporaryFolder())
        #expect(sequence.code == 0)
    }

    @Test(arguments: [
        (["--shape", "a"], "expected NAME and its extents"), (["--shape", "a=x"], "expected NAME and its extents"),
        (["--shape", "a=2,-3"], "expected NAME and its extents"), (["--shape", "a=2,,3"], "expected NAME and its extents"),
        (["--shape", "a=2", "--shape", "a=3"], "The shape of \"a\" is given twice"),
        (["--iterations", "0"], "from 1 to 1000000"),
        (["--iterations", "-1"], "from 1 to 1000000"), (["--warmup", "-1"], "from 0 to 1000000"),
        (["--json", ""], "--json is empty"), (["--trace", "-"], "--trace is -, expected a file"),
        (["--flamegraph", ""], "--flamegraph is empty"), (["--json", "-", "--csv", "-"], "choose one"),
        (["--json", "x", "--trace", "./x"], "give them different files"), (["--by", "size"], "op, node, shape, fusion, layer"),
        (["--sort", "name"], "time, flops, memory"), (["--top", "0"], "of 1 or more"),
        (["--by", "fusion", "--no-optimize"], "leave out one"), (["--precision", "fp16"], "expected one of fp32, bf16"),
        (["--precision", "bf16", "--no-optimize"], "leave out one"), (["--steps", "3"], "leave out --steps"),
        (["--steps", "3", "--component", "unet"], "leave out one"),
        (["--input", "a=x.npy", "--shape", "a=3"], "leave out --shape"),
        (["--input", "a=x.npy", "--input", "a=y.npy"], "The input \"a\" is given twice"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["bench", "m.onnx"] + options, saying: part)
    }

    @Test(arguments: [
        ("names.onnx", ["--shape", "z=2"], "--shape names \"z\""), ("names.onnx", ["--shape", "a=2,4"], "found float32[2, 4]"),
        ("names.onnx", ["--shape", "a="], "found float32[]"), ("names.onnx", ["--shape", "a=99999999999,3"], "GB of memory"),
        ("names.onnx", ["--shape", "a=9223372036854775807,9"], "too many elements"),
        ("names.onnx", ["--json", "no/x.json"], "there is no folder"),
        ("names.onnx", ["--json", "."], "it is a folder"), ("unranked.onnx", [], "add --shape a=2,4,64,64"),
        ("string.onnx", [], "is of type string"), ("names.onnx", ["--component", "unet"], "is a file"),
        ("names.onnx", ["--input", "z=" + fixture("a.npy")], "--input names \"z\""),
        ("names.onnx", ["--input", "a=no.npy"], "no.npy"),
        ("names.onnx", ["--trace", "no/x.json"], "there is no folder"), ("unknown.onnx", [], "NoSuchOperator"),
        ("no.onnx", [], "No such file"),
    ]) func fails(model: String, options: [String], part: String) throws {
        try expectFailure(["bench", Self.fixture(model)] + options, saying: part)
    }

    @Test func writesEveryFormat() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "bench", Program.emoji.path, "--component", "vae_decoder", "--iterations", "2", "--by", "layer", "--top", "3",
                "--json", "b.json", "--csv", "b.csv", "--trace", "t.json", "--flamegraph", "f.svg",
            ], in: folder)
        #expect(outcome.code == 0)
        // The model folder says what symbolic extents are.
        #expect(outcome.messages.contains("taken as [1, 4, 16, 16]"))
        #expect(folder.names == ["b.csv", "b.json", "f.svg", "t.json"])
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder["b.json"])) as? [String: Any])
        let rows = try #require(report["rows"] as? [[String: Any]])
        #expect(
            report["by"] as? String == "layer" && rows.contains { $0["name"] as? String == "/decoder/up_blocks.0/resnets.0" })
        let csv = try String(contentsOf: folder["b.csv"], encoding: .utf8).components(separatedBy: "\r\n").filter {
            !$0.isEmpty
        }
        #expect(csv.count == rows.count + 1 && csv[0].hasPrefix("layer,calls,total_ms,"))
        let trace = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder["t.json"])) as? [String: Any])
        #expect(try #require(trace["traceEvents"] as? [[String: Any]]).count > 80)
        #expect(try String(contentsOf: folder["f.svg"], encoding: .utf8).contains("up_blocks.0: "))
        // Three rows, the rest, the interpreter, three lines of summary, and the header.
        #expect(outcome.text.split(separator: "\n").count == 9)
    }

    @Test func takesArrays() throws {
        let outcome = try Program.run(
            ["bench", Self.fixture("names.onnx"), "-i", "a=\(Self.fixture("a.npy"))", "--json", "-"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let inputs = try #require(try outcome.json()["inputs"] as? [[String: String]])
        let shape = try NPYArray(contentsOf: URL(fileURLWithPath: Self.fixture("a.npy"))).shape
        #expect(inputs.contains { $0["name"] == "a" && $0["type"] == "float32\(shape)" })
    }

    @Test func splitsAPipeline() throws {
        let outcome = try Program.run(
            ["bench", Program.emoji.path, "--steps", "3", "--warmup", "0", "--json", "-"], in: TemporaryFolder())
        #expect(outcome.code == 0)
        let parts = try #require(try outcome.json()["parts"] as? [String: Any])
        let list = try #require(parts["parts"] as? [[String: Any]])
        #expect(
            list.compactMap { $0["name"] as? String } == [
                "tokenizer", "text encoder", "U-Net step 1", "scheduler", "U-Net step 2", "U-Net step 3", "VAE decoder", "PNG",
            ])
        let sum = list.reduce(0) { $0 + ($1["total_ms"] as? Double ?? 0) } + (try #require(parts["other_ms"] as? Double))
        #expect(abs(sum / (try #require(parts["total_ms"] as? Double)) - 1) < 1e-6)
        #expect(try #require(parts["cpu_seconds_per_second"] as? Double) > 0.1)
    }

    @Test func refusesWrongFolders() throws {
        try expectUsageError(["bench", Program.emoji.path, "--shape", "sample=1"], saying: "add --component")
        try expectUsageError(["bench"], saying: "Missing expected argument '<model>'")
        try expectFailure(["bench", Program.emoji.path, "--component", "vae"], saying: "text_encoder, unet, vae_decoder")
        try expectFailure(["bench", Program.emoji.path, "--steps", "5000"], saying: "expected 1 to 1000")
    }
}

@Suite struct BenchCompareTests {
    /// A report of ten runs with two operators.
    private func report(conv: Double, add: Double, stdev: Double = 0.1) -> String {
        """
        {"median_ms": \(conv + add), "stdev_ms": \(stdev), "iterations": 10, "operators": [
          {"type": "Conv", "total_ms": \(conv), "stdev_ms": \(stdev), "share": 0.9},
          {"type": "Add", "total_ms": \(add), "stdev_ms": \(stdev), "share": 0.1}]}
        """
    }

    private func compare(_ a: String, _ b: String, _ options: [String] = []) throws -> Program.Outcome {
        let folder = try TemporaryFolder()
        try a.write(to: folder["a.json"], atomically: true, encoding: .utf8)
        try b.write(to: folder["b.json"], atomically: true, encoding: .utf8)
        return try Program.run(["bench", "compare", "a.json", "b.json"] + options, in: folder)
    }

    @Test func judges() throws {
        let same = try compare(report(conv: 10, add: 2), report(conv: 10.01, add: 2))
        #expect(same.code == 0 && same.text.contains("noise"))
        let slower = try compare(report(conv: 10, add: 2), report(conv: 10, add: 3))
        #expect(slower.code == 1 && slower.messages.contains("Add by 50.0 %") && slower.text.contains("slower"))
        #expect(try compare(report(conv: 10, add: 2), report(conv: 10, add: 3), ["--threshold", "60"]).code == 0)
        #expect(try compare(report(conv: 10, add: 3), report(conv: 10, add: 2)).code == 0)
        // With runs this far apart nobody can tell.
        #expect(try compare(report(conv: 10, add: 2, stdev: 9), report(conv: 10, add: 3, stdev: 9)).code == 0)
        let json = try compare(report(conv: 10, add: 2), report(conv: 15, add: 2), ["--json"])
        let median = try #require(try json.json()["median"] as? [String: Any])
        #expect(json.code == 1 && median["is_failure"] as? Bool == true)
    }

    @Test func comparesRealRuns() throws {
        let folder = try TemporaryFolder()
        for name in ["a.json", "b.json"] {
            let outcome = try Program.run(
                [
                    "bench", Program.emoji.path, "--component", "vae_decoder", "--shape", "latent_sample=1,4,8,8", "--json",
                    name,
                ], in: folder)
            #expect(outcome.code == 0)
        }
        let outcome = try Program.run(["bench", "compare", "a.json", "b.json", "--threshold", "10000"], in: folder)
        #expect(outcome.code == 0 && outcome.text.contains("Conv") && outcome.text.contains("median"))
    }

    /// A report of runs on a machine that other work, which comes and goes, makes up to three times as slow: what each run and each
    /// measure of the pace take follows the work of that moment, operators by unlike shares of it.
    private func loadedReport(
        _ generator: inout TorchGenerator, runs: Int, slowdown: Double = 1, isLoaded: Bool = true
    ) -> String {
        var load = 1.0
        func wavering() -> Double { 1 + 0.05 * abs(generator.randnDouble(count: 1)[0]) }
        var samples: (conv: [Double], norm: [Double], pace: [Double]) = ([], [], [])
        for _ in 0..<runs {
            let chance = generator.randDouble(count: 2)
            if isLoaded, chance[0] < 0.25 { load = 1 + 2 * chance[1] }
            samples.conv.append(10 * slowdown * load * wavering())
            samples.norm.append(0.4 * slowdown * (1 + (load - 1) * 1.3) * wavering())
            samples.pace.append(load * wavering())
        }
        let conv = Statistics(samples.conv)
        let norm = Statistics(samples.norm)
        let whole = Statistics(zip(samples.conv, samples.norm).map(+))
        func row(_ name: String, _ sample: Statistics) -> String {
            """
            {"type": "\(name)", "total_ms": \(sample.mean), "stdev_ms": \(sample.standardDeviation), \
            "min_ms": \(sample.minimum), "share": \(sample.mean / whole.mean)}
            """
        }
        return """
            {"median_ms": \(whole.median), "stdev_ms": \(whole.standardDeviation), "min_ms": \(whole.minimum), \
            "iterations": \(runs), "pace_ms": \(samples.pace), \
            "operators": [\(row("Conv", conv)), \(row("LayerNormalization", norm))]}
            """
    }

    /// Under other work that comes and goes, a program is rarely slower than itself, and where nothing else runs never; what has
    /// become slower is found there.
    @Test func toldFromOtherWork() throws {
        var generator = TorchGenerator(seed: 5)
        var failures = 0
        for runs in [5, 10, 20] {
            for _ in 0..<20 {
                let outcome = try compare(loadedReport(&generator, runs: runs), loadedReport(&generator, runs: runs))
                failures += outcome.code == 0 ? 0 : 1
                let quiet = loadedReport(&generator, runs: runs, isLoaded: false)
                #expect(try compare(quiet, loadedReport(&generator, runs: runs, isLoaded: false)).code == 0)
                let slower = loadedReport(&generator, runs: runs, slowdown: 1.5, isLoaded: false)
                #expect(try compare(quiet, slower).code == 1)
            }
        }
        #expect(failures <= 1)
    }

    /// Where the machine itself has become much slower, nothing is judged.
    @Test func judgesNothingOfAnotherMachine() throws {
        let paces = ["[1, 1.01]", "[1.3, 1.31]"]
        let reports = zip([10.0, 20.0], paces).map { conv, pace in
            report(conv: conv, add: 2).replacing("\"iterations\"", with: "\"pace_ms\": \(pace), \"iterations\"")
        }
        let outcome = try compare(reports[0], reports[1])
        #expect(outcome.code == 0 && outcome.messages.hasPrefix("The machine's own speed changed by more than 25 %"))
        let json = try compare(reports[0], reports[1], ["--json"]).json()
        #expect((json["not_judged"] as? String)?.hasSuffix("measure both again while nothing else runs.") == true)
    }

    /// Reports with other inputs are compared only if that is asked for; what is slower by two orders isn't noise.
    @Test func refusesOtherInputs() throws {
        let folder = try TemporaryFolder()
        for (name, size) in [("a.json", 8), ("b.json", 48)] {
            let outcome = try Program.run(
                [
                    "bench", Program.emoji.path, "--component", "unet", "--shape", "sample=2,4,\(size),\(size)", "--json", name,
                    "--iterations", "25",
                ], in: folder)
            #expect(outcome.code == 0)
        }
        let refused = try Program.run(["bench", "compare", "a.json", "b.json"], in: folder)
        #expect(refused.code == 1 && refused.output.isEmpty)
        #expect(refused.messages.contains("a.json was measured with the inputs ") && refused.messages.contains("--force"))
        let forced = try Program.run(["bench", "compare", "a.json", "b.json", "--force"], in: folder)
        let isAnotherMachine = forced.messages.contains("The machine's own speed changed")
        #expect(isAnotherMachine || forced.code == 1 && forced.messages.contains("b.json is slower than a.json"))
    }

    @Test func refusesOtherModels() throws {
        let folder = try TemporaryFolder()
        for component in ["text_encoder", "vae_decoder"] {
            let outcome = try Program.run(
                [
                    "bench", Program.emoji.path, "--component", component, "--iterations", "1", "--threads",
                    component == "vae_decoder" ? "1" : "2", "--json", component + ".json",
                ], in: folder)
            #expect(outcome.code == 0)
        }
        let refused = try Program.run(["bench", "compare", "text_encoder.json", "vae_decoder.json"], in: folder)
        #expect(refused.code == 1 && refused.output.isEmpty && refused.lines.count == 1)
        #expect(refused.messages.contains("about another model, \(Program.emoji.path)/vae_decoder/model.onnx"))
        let forced = try Program.run(["bench", "compare", "text_encoder.json", "vae_decoder.json", "--force"], in: folder)
        #expect(forced.output.isEmpty == false && forced.messages.contains("The reports differ in threads: 2 and 1."))
        // The same files under another name are the same model.
        let copy = try folder.model { _ in }
        let moved = try Program.run(
            ["bench", copy.path, "--component", "text_encoder", "--iterations", "1", "--threads", "2", "--json", "c.json"],
            in: folder)
        #expect(moved.code == 0)
        let same = try Program.run(["bench", "compare", "text_encoder.json", "c.json", "--threshold", "10000"], in: folder)
        #expect(same.code == 0 && same.messages.hasPrefix("A report of one run"), "\(same.messages)")
    }

    /// A model in a folder of that name is `./compare`.
    @Test func benchesAFolderNamedCompare() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(at: folder["compare"], withDestinationURL: Program.emoji)
        let outcome = try Program.run(
            ["bench", "./compare", "--component", "vae_decoder", "--shape", "latent_sample=1,4,8,8", "--iterations", "1"],
            in: folder)
        #expect(outcome.code == 0 && outcome.text.contains("Conv"))
    }

    @Test func refuses() throws {
        for (a, b, part) in [("a.json", "a.json", "give two"), ("a.json", "", "Missing expected")] {
            let outcome = try Program.run(["bench", "compare", a] + (b.isEmpty ? [] : [b]), in: TemporaryFolder())
            #expect(outcome.code == 64 && outcome.messages.contains(part), "\(outcome.messages)")
        }
        let lone = try Program.run(["bench", "compare", "a.json"], in: TemporaryFolder())
        #expect(lone.messages.contains("See 'sd-onnx bench compare --help'"))
        let outcome = try Program.run(["bench", "compare", "no.json", "b.json"], in: TemporaryFolder())
        #expect(
            outcome.code == 1 && outcome.messages == "Error: The report no.json can't be used: No such file or directory.\n")
        let other = try compare("[1]", report(conv: 1, add: 1))
        #expect(other.code == 1 && other.messages.contains("isn't a report of sd-onnx bench --json"))
        #expect(try compare("{}", "{}", ["--threshold", "-1"]).code == 64)
    }
}
