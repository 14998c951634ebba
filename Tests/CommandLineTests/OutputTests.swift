import Foundation
import SDPipeline
import Testing

/// Where results are written.
@Suite struct OutputTests {
    private static let quick = ["--steps", "3", "--seed", "7", "--quiet"]
    private static let unet = Program.emoji.appendingPathComponent("unet/model.onnx").path

    /// Every output of every command is tried before the work; the sentence names the path.
    @Test(arguments: [
        ["generate", "x", "-o", "/proc/none/x.png"], ["generate", "x", "--save-steps", "/proc/none"],
        ["generate", "x", "--strip", "/proc/none/x.png"], ["generate", "x", "--save-latents", "/proc/none/x.npy"],
        ["generate", "x", "--preview", "/proc/none/x.png"], ["generate", "x", "--profile", "/proc/none/x.json"],
        ["generate", "x", "--compare-schedulers", "-o", "/proc/none/x.png"],
        ["run", "no.onnx", "--output-dir", "/proc/none"],
        ["run", "no.onnx", "--output-dir", "out", "--profile", "/proc/none/x.json"],
        ["bench", "no.onnx", "--json", "/proc/none/x.json"], ["bench", "no.onnx", "--csv", "/proc/none/x.csv"],
        ["bench", "no.onnx", "--trace", "/proc/none/x.json"], ["bench", "no.onnx", "--flamegraph", "/proc/none/x.svg"],
        ["inspect", "no.onnx", "--svg", "/proc/none/x.svg"], ["inspect", "no.onnx", "--dot", "/proc/none/x.dot"],
        ["inspect", "no.onnx", "--plan", "/proc/none/x.svg"], ["compare", "no.onnx", "--dump", "/proc/none"],
        ["schedulers", "show", "ddim", "--model", "no", "--plot", "/proc/none/x.svg"],
        ["noise", "no.png", "-o", "/proc/none/x.png"], ["noise", "no.png", "-o", "/proc/none/%d.png"],
    ]) func triesOutputsFirst(arguments: [String]) throws {
        try expectFailure(arguments, saying: "/proc/none")
        try expectFailure(arguments, saying: "can't be written")
    }

    /// A folder of steps shows one run: what a longer one left is removed, other files stay.
    @Test func removesStepsOfALongerRun() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(at: folder["steps"], withIntermediateDirectories: true)
        for name in ["step-001.png", "step-007.png", "step-1000.png", "step-7.png", "step-0007.png", "step-007.txt", "my.png"] {
            try Data("old".utf8).write(to: folder["steps/" + name])
        }
        let outcome = try Program.run(
            ["generate", "x", "-o", "x.png", "--save-steps", "steps", "--strip", "strip.png", "--steps", "3", "--seed", "7"],
            in: folder)
        #expect(outcome.code == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["steps"].path).sorted()
        let made = names.filter { $0.hasPrefix("step-0") && $0.hasSuffix(".png") && $0 != "step-0007.png" }
        #expect(Set(names).subtracting(made) == ["my.png", "step-0007.png", "step-007.txt", "step-7.png"])
        #expect(made.contains("step-001.png") && !made.contains("step-007.png"))
        for name in made { _ = try PNGFile.read(folder["steps/" + name]) }
        #expect(
            outcome.lines.contains(
                "Removed from \(folder["steps"].path), left there by a longer run: step-007.png and 1 more."))
        #expect(folder.names == ["steps", "strip.png", "x.png"])
    }

    /// All files of a run are one set: where the last can't be written, none has changed.
    @Test func writesAllFilesOfARunOrNone() throws {
        let folder = try TemporaryFolder()
        try Data("old".utf8).write(to: folder["x.png"])
        for options in [["--save-latents", "/dev/full"], ["--profile", "/dev/full"], ["--strip", "/dev/full"]] {
            let outcome = try Program.run(
                ["generate", "x", "-o", "x.png", "--save-steps", "."] + options + Self.quick, in: folder)
            #expect(outcome.code == 1)
            #expect(outcome.messages == "Error: /dev/full can't be written: No space left on device.\n")
            #expect(folder.names == ["x.png"])
            #expect(try String(contentsOf: folder["x.png"], encoding: .utf8) == "old")
        }
    }

    @Test func writesToDevicesAndPipes() throws {
        let folder = try TemporaryFolder()
        let quick = Self.quick.joined(separator: " ")
        #expect(try Program.shell("\"$P\" generate x \(quick) -o plain.png", in: folder).code == 0)
        let plain = try Data(contentsOf: folder["plain.png"])
        #expect(try Program.shell("\"$P\" generate x \(quick) -o /dev/stdout | cat", in: folder).output == plain)
        #expect(try Program.shell("\"$P\" generate x \(quick) -o /dev/null --save-latents /dev/null", in: folder).code == 0)
        let appended = try Program.shell("echo x >a; \"$P\" generate x \(quick) -o /dev/stdout >>a; tail -c +3 a", in: folder)
        #expect(appended.output == plain)
        let piped = try Program.shell("mkfifo p; cat p >b & \"$P\" generate x \(quick) -o p && wait && cat b", in: folder)
        #expect(piped.output == plain)
        #expect(folder.names == ["a", "b", "p", "plain.png"])
    }

    @Test func keepsModesAndRefusesReadOnlyFiles() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell(
            """
            touch private.png locked.png; chmod 600 private.png; chmod 444 locked.png
            "$P" generate x \(Self.quick.joined(separator: " ")) -o private.png || exit 3
            stat -c %a private.png
            "$P" generate x --steps 900 -o locked.png
            """, in: folder)
        #expect(outcome.code == 1 && outcome.text == "600\n")
        #expect(outcome.messages == "Error: \(folder["locked.png"].path) can't be written: it is read-only.\n")
    }

    /// A name that promises another kind of file is refused.
    @Test(arguments: [
        (["generate", "x", "-o", "a.jpg"], "a name for JPEG, and what is written is PNG: name it a.png."),
        (["generate", "x", "-o", "b/c-%d.JPEG"], "name it b/c-%d.png"), (["generate", "x", "-o", "a.webp"], "for WebP"),
        (["generate", "x", "--strip", "a.gif"], "for GIF"), (["generate", "x", "--preview", "a.tiff"], "for TIFF"),
        (["generate", "x", "--save-latents", "a.pt"], "for PyTorch tensors"),
        (["generate", "x", "--profile", "a.csv"], "what is written is JSON"),
        (["noise", "x.png", "-o", "n.bmp"], "for a bitmap"), (["inspect", "x", "--svg", "a.png"], "is written is SVG"),
        (["inspect", "x", "--dot", "a.svg"], "for SVG"), (["inspect", "x", "--plan", "a.pdf"], "for PDF"),
        (["bench", "x", "--json", "a.json.gz"], "for a compressed file"), (["bench", "x", "--csv", "a.json"], "for JSON"),
        (["bench", "x", "--flamegraph", "a.png"], "is written is SVG"), (["bench", "x", "--trace", "a.svg"], "for SVG"),
    ]) func refusesNamesOfOtherKinds(arguments: [String], part: String) throws {
        try expectUsageError(arguments, saying: part)
    }

    @Test(arguments: ["a.PNG", "a", "a.b", ".jpg", "a.jpg/b"]) func takesOtherNames(name: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(at: folder["a.jpg"], withIntermediateDirectories: true)
        #expect(try Program.run(["generate", "x", "-o", name] + Self.quick, in: folder).code == 0)
        _ = try PNGFile.read(folder[name])
    }

    /// File names may be any bytes; texts are UTF-8 here, so such a file would be another.
    @Test(arguments: [
        "generate x -o \"$N.png\"", "generate x --output=\"$N.png\"", "generate x --save-steps \"$N\"",
        "generate x --model \"$N\"", "run \"$N\" --output-dir out", "inspect \"$N\"", "schedulers show ddim --plot \"$N.svg\"",
        "run x --output-dir out -i \"a=$N\"",
    ]) func refusesNamesThatAreNoText(command: String) throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell("N=$(printf 'a\\377b'); \"$P\" \(command)", in: folder)
        #expect(outcome.code == 64)
        #expect(outcome.lines.first?.contains("expected a name in UTF-8") == true, "\(outcome.messages)")
        #expect(folder.names.isEmpty)
    }

    /// U+FFFD itself is text.
    @Test func takesTheReplacementCharacter() throws {
        let folder = try TemporaryFolder()
        #expect(try Program.run(["generate", "x", "-o", "\u{FFFD}.png"] + Self.quick, in: folder).code == 0)
        #expect(folder.names == ["\u{FFFD}.png"])
    }

    /// A reader of reports may stop; what the exit code says stays.
    @Test(arguments: [
        ("schedulers", 0), ("schedulers --json", 0), ("tokenize x", 0), ("--help", 0), ("inspect \"$U\"", 0),
        ("inspect \"$U\" --graph", 0), ("inspect \"$U\" --dot -", 0), ("inspect \"$U\" --json", 0),
        ("generate x --steps 1 --quiet --json", 0), ("compare \"$U\" --no-optimize --tolerance 0", 1),
    ]) func closedPipesAreNoFailure(command: String, code: Int) throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell(
            "U='\(Self.unet)'; { sleep 0.3; \"$P\" \(command); echo $? >code; } | head -c 0", in: folder)
        #expect(try String(contentsOf: folder["code"], encoding: .utf8) == "\(code)\n")
        if code == 0 { #expect(outcome.lines.filter { !$0.hasPrefix("The input ") }.isEmpty, "\(outcome.messages)") }
    }
}
