import Foundation
import Testing

@Suite struct HelpTests {
    @Test(arguments: [
        (
            "generate",
            [
                "--prompt", "--negative-prompt", "--scheduler", "(default: 20)", "(default: 7.5; of SDXL", "output.png)",
                "-b 4 -o owl-%02d.png",
            ]
        ),
        ("run", ["--input", "--output-dir", "--random-inputs", "--no-optimize", "--json", "EXAMPLES:"]),
        (
            "bench",
            [
                "--shape", "--iterations", "(default: 5,", "--warmup", "(default: 1)", "--trace", "--flamegraph", "compare",
                "EXAMPLES:",
            ]
        ),
        ("tokenize", ["--model", "--pad", "--prompt", "EXAMPLES:"]),
        ("similarity", ["--text", "--rank", "--logit-scale", "--json", "EXAMPLES:"]),
        ("upscale", ["--model", "--scale", "--tile", "--tile-overlap", "--white", "EXAMPLES:"]),
        ("interpolate", ["--to", "--to-seed", "--frames", "--scheduler", "EXAMPLES:"]),
        ("metadata", ["--json", "ComfyUI", "EXAMPLES:"]),
        ("batch", ["--out", "--shard", "batch status", "EXAMPLES:"]),
        ("inspect", ["--graph", "--svg", "--optimized", "--plan", "EXAMPLES:"]),
        ("operators", ["--domain", "--json", "EXAMPLE:"]),
        ("verify", ["--rtol", "--atol", "--no-optimize", "--json", "EXAMPLES:"]),
        ("compare", ["--reference", "--dump", "--tolerance", "EXAMPLES:"]),
    ]) func explainsCommands(command: String, parts: [String]) throws {
        for arguments in [[command, "--help"], ["help", command]] {
            let outcome = try Program.run(arguments, in: TemporaryFolder())
            #expect(outcome.code == 0 && outcome.messages.isEmpty)
            // Long lines are wrapped.
            let text = outcome.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            for part in parts { #expect(text.contains(part)) }
            #expect(text.contains("USAGE: sd-onnx \(command) "))
        }
    }

    @Test func explainsItself() throws {
        for arguments in [[], ["--help"]] {
            let outcome = try Program.run(arguments, in: TemporaryFolder())
            #expect(outcome.code == 0)
            for command in ["generate", "run", "bench", "tokenize", "64 wrong options"] {
                #expect(outcome.text.contains(command))
            }
        }
        let unknown = try Program.run(["paint"], in: TemporaryFolder())
        #expect(unknown.code == 64 && unknown.messages.contains("Unexpected argument 'paint'"))
    }
}
