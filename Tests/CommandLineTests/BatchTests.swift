import Foundation
import SDPipeline
import Testing

/// `batch`, `batch status` and `batch verify`.
@Suite struct BatchTests {
    private func write(_ lines: [String], in folder: TemporaryFolder) throws {
        try (lines.joined(separator: "\n") + "\n").write(to: folder["jobs.jsonl"], atomically: true, encoding: .utf8)
    }

    private func batch(_ options: String..., in folder: TemporaryFolder) throws -> Program.Outcome {
        try Program.run(["batch", "jobs.jsonl", "--out", "made", "--steps", "2"] + options, in: folder)
    }

    private func verify(_ folder: TemporaryFolder) throws -> (code: Int32, problems: [String], pictures: Int, others: [String])
    {
        let outcome = try Program.run(["batch", "verify", "made", "--json"], in: folder)
        let report = try outcome.json()
        return (
            outcome.code, try #require(report["problems"] as? [String]), try #require(report["pictures"] as? Int),
            try #require(report["other_files"] as? [String])
        )
    }

    private func status(_ folder: TemporaryFolder) throws -> [String: Any] {
        try Program.run(["batch", "status", "made", "--json"], in: folder).json()
    }

    /// The lines of all manifests.
    private func entries(_ folder: TemporaryFolder) throws -> [[String: Any]] {
        let manifest = folder["made/manifest"]
        return try FileManager.default.contentsOfDirectory(atPath: manifest.path).flatMap { name in
            try String(contentsOf: manifest.appendingPathComponent(name), encoding: .utf8).split(separator: "\n").map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
        }
    }

    private func file(_ entry: [String: Any], in folder: TemporaryFolder) throws -> URL {
        let picture = try #require((entry["pictures"] as? [[String: Any]])?.first)
        return folder["made"].appendingPathComponent(try #require(picture["file"] as? String))
    }

    /// Each line is a picture as `generate` makes it; equal ones are made once, and a second run makes none.
    @Test func makesEachJobOnce() throws {
        let folder = try TemporaryFolder()
        try write(
            [
                #"{"prompt": "a fox", "seed": 7, "cfg_scale": 5, "scheduler": "euler"}"#, "an owl", "",
                #"{"scheduler": "euler", "seed": 7, "cfg_scale": 5, "prompt": "a fox"}"#, "an owl",
                #"{"prompt": "a crab", "batch_count": 2, "variation_strength": 0.2}"#,
            ], in: folder)
        let first = try batch(in: folder)
        #expect(first.code == 0, "\(first.messages)")
        let made = try entries(folder)
        #expect(made.map { $0["line"] as? Int } == [1, 2, 6])
        #expect(made.map { ($0["pictures"] as? [Any])?.count } == [1, 1, 2])
        let alone = try Program.run(
            [
                "generate", "a fox", "--seed", "7", "--cfg-scale", "5", "--scheduler", "euler", "--steps", "2", "--quiet", "-o",
                "fox.png",
            ], in: folder)
        #expect(alone.code == 0)
        #expect(try Data(contentsOf: file(made[0], in: folder)) == Data(contentsOf: folder["fox.png"]))
        #expect(try verify(folder) == (0, [], 4, []))
        let again = try batch(in: folder)
        #expect(again.code == 0 && again.messages.contains("3 of 3 jobs are done already."))
        #expect(try entries(folder).count == 3)
        let report = try status(folder)
        #expect(report["jobs"] as? Int == 3 && report["done"] as? Int == 3 && report["left"] as? Int == 0)
        #expect(report["pictures"] as? Int == 4)
    }

    /// Jobs without a seed are the same wherever they are made.
    @Test func drawsSeedsThatStay() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", "an owl"], in: folder)
        #expect(try batch(in: folder).code == 0)
        let before = try entries(folder).map { try Data(contentsOf: file($0, in: folder)) }
        try FileManager.default.removeItem(at: folder["made"])
        #expect(try batch("--threads", "1", in: folder).code == 0)
        let after = try entries(folder)
        #expect(
            try after.map { try GenerationRecord(png: Array(Data(contentsOf: file($0, in: folder))))?.prompt } == [
                "a fox", "an owl",
            ])
        let seeds = try after.map { try GenerationRecord(png: Array(Data(contentsOf: file($0, in: folder))))?.seed }
        #expect(Set(seeds).count == 2)
        #expect(try before.map { try GenerationRecord(png: Array($0))?.seed } == seeds)
    }

    /// All parts together make every job, none makes another's; fewer parts go on with it.
    @Test func sharesJobs() throws {
        let folder = try TemporaryFolder()
        try write((1...7).map { #"{"prompt": "a fox", "seed": \#($0)}"# } + [#"{"prompt": "a fox", "seed": 1}"#], in: folder)
        for part in 1...2 { #expect(try batch("--shard", "\(part)/3", in: folder).code == 0) }
        #expect(try status(folder)["left"] as? Int == 2)
        let (code, problems, pictures, _) = try verify(folder)
        #expect(code == 1 && problems == ["Line 3 isn't done.", "Line 6 isn't done."] && pictures == 5)
        #expect(try batch("--shard", "1/2", in: folder).code == 0)
        #expect(try batch("--shard", "2/2", in: folder).code == 0)
        #expect(try verify(folder) == (0, [], 7, []))
        #expect(try entries(folder).count == 7)
        #expect(
            try Program.run(["batch", "verify", "made", "--manifest", "all.jsonl"], in: folder).text
                == "All 7 jobs are done once, and their 7 pictures are as they were written.\n")
        let all = try String(contentsOf: folder["all.jsonl"], encoding: .utf8).split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])["line"] as? Int
        }
        #expect(all == Array(1...7))
    }

    /// Killed again and again, it loses nothing and makes nothing twice.
    @Test func survivesKills() throws {
        let folder = try TemporaryFolder()
        try write((1...8).map { #"{"prompt": "an owl", "seed": \#($0), "batch_count": 2}"# }, in: folder)
        // Each run is killed as soon as a line more is there, and a little later each time.
        let outcome = try Program.shell(
            """
            i=0
            while [ $i -lt 6 ]; do
                before=$(cat made/manifest/* 2>/dev/null | wc -l)
                "$P" batch jobs.jsonl --out made --steps 2 --quiet & pid=$!
                while kill -0 $pid 2>/dev/null && [ $(cat made/manifest/* 2>/dev/null | wc -l) -eq $before ]; do sleep 0.01; done
                sleep 0.0$i; kill -KILL $pid 2>/dev/null; wait $pid
                i=$((i + 1))
            done
            printf '{"job": "half a li' >>made/manifest/1-of-1.jsonl
            "$P" batch jobs.jsonl --out made --steps 2 --quiet
            """, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let (code, problems, pictures, _) = try verify(folder)
        #expect(code == 0 && problems.isEmpty && pictures == 16)
        #expect(try entries(folder).map { $0["line"] as? Int } == Array(1...8))
    }

    /// Two processes on the same part: the second waits, and finds all made.
    @Test func oneProcessAtATimeMakesAPart() throws {
        let folder = try TemporaryFolder()
        try write((1...6).map { #"{"prompt": "a fox", "seed": \#($0)}"# }, in: folder)
        let running = try (0..<3).map { _ in
            try Program.start(["batch", "jobs.jsonl", "--out", "made", "--steps", "4"], in: folder)
        }
        for process in running { #expect(try process.finish().code == 0) }
        #expect(try verify(folder) == (0, [], 6, []))
        #expect(try entries(folder).count == 6)
    }

    /// In another number of parts nobody begins as long as a process works.
    @Test func anotherNumberOfPartsWaitsForTheEnd() throws {
        let folder = try TemporaryFolder()
        try write(["a fox"], in: folder)
        let running = try Program.start(
            ["batch", "jobs.jsonl", "--out", "made", "--steps", "900"], in: folder)
        try running.waitForMessages()
        try expectFailure(
            ["batch", "jobs.jsonl", "--out", "made", "--shard", "1/2", "--steps", "900"],
            saying: "A process works on shard 1/1 of \(folder["made"].path)", in: folder)
        #expect(((try status(folder)["shards"] as? [[String: Any]])?.first)?["is_running"] as? Bool == true)
        kill(running.process.processIdentifier, SIGKILL)
        _ = try running.finish(by: SIGKILL)
    }

    /// A job that fails is recorded and the others are made; the next run tries it again.
    @Test func failedJobsAreRecordedAndTriedAgain() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", #"{"prompt": "an owl", "init_img": "start.png"}"#, "a crab"], in: folder)
        let outcome = try batch(in: folder)
        #expect(outcome.code == 1)
        #expect(outcome.lines.last?.contains("1 of 3 jobs failed") == true)
        let report = try status(folder)
        #expect(report["done"] as? Int == 2)
        let failure = try #require((report["failures"] as? [[String: Any]])?.first)
        #expect(failure["line"] as? Int == 2 && (failure["error"] as? String)?.contains("start.png") == true)
        #expect(try verify(folder).problems.first?.hasPrefix("Line 2 failed: ") == true)
        try PNGFile.write(
            RGBImage(width: 64, height: 64, pixels: .init(repeating: 90, count: 3 * 64 * 64)), to: folder["start.png"])
        #expect(try batch(in: folder).code == 0)
        #expect(try verify(folder) == (0, [], 3, []))
        // What a job starts from belongs to it.
        try PNGFile.write(
            RGBImage(width: 64, height: 64, pixels: .init(repeating: 9, count: 3 * 64 * 64)), to: folder["start.png"])
        #expect(try batch(in: folder).code == 0)
        let (code, _, pictures, others) = try verify(folder)
        #expect(code == 0 && pictures == 3 && others.count == 1)
    }

    /// Pictures that are gone or cut off are made again, and aren't made twice for that; the others stay.
    @Test func makesLostPicturesAgain() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", "an owl", "a crab"], in: folder)
        #expect(try batch(in: folder).code == 0)
        let files = try entries(folder).map { try file($0, in: folder) }
        let contents = try files.map { try Data(contentsOf: $0) }
        try FileManager.default.removeItem(at: files[0])
        try contents[1].prefix(100).write(to: files[1])
        let again = try batch(in: folder)
        #expect(again.code == 0 && again.messages.contains("1 of 3 jobs are done already."), "\(again.messages)")
        #expect(again.messages.contains("2 of 3 jobs are made again: their pictures are gone or cut off."))
        #expect(try files.map { try Data(contentsOf: $0) } == contents)
        #expect(try entries(folder).compactMap { $0["remade"] as? Int } == [1, 1])
        #expect(try verify(folder) == (0, [], 3, []))
        // In other parts, whose manifests come before, and with another picture: the last one counts.
        try write(["a fox"], in: folder)
        try FileManager.default.removeItem(at: files[0])
        #expect(try batch("--shard", "1/2", in: folder).code == 0)
        #expect(try batch("--shard", "2/2", in: folder).code == 0)
        try FileManager.default.removeItem(at: files[0])
        #expect(try batch("--low-memory", in: folder).code == 0)
        let last = try batch("--low-memory", in: folder)
        #expect(last.code == 0 && last.messages.contains("1 of 1 jobs are done already."), "\(last.messages)")
        #expect(try verify(folder).code == 0)
    }

    @Test func verifyFindsWhatHasChanged() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", "an owl"], in: folder)
        #expect(try batch(in: folder).code == 0)
        let made = try entries(folder)
        try FileManager.default.removeItem(at: file(made[0], in: folder))
        try Data("no picture".utf8).write(to: file(made[1], in: folder))
        let (code, problems, _, _) = try verify(folder)
        #expect(code == 1 && problems.count == 2)
        #expect(
            problems[0].hasPrefix("Line 1: pictures/") && problems[0].hasSuffix("can't be read: No such file or directory."))
        #expect(problems[1].contains("isn't as it was written: it has 10 bytes"))
        // Standard output has it all.
        #expect(try Program.run(["batch", "verify", "made"], in: folder).messages == "")
    }

    @Test(arguments: [
        (#"{"prompt": "a fox", "output": "x.png"}"#, "jobs.jsonl, line 2: --output is for what a batch doesn't make"),
        (#"{"prompt": "a fox", "scheduler": "euler,ddim"}"#, "line 2: A list of schedulers is for what"),
        (#"{"prompt": "a fox", "save_latents": "x.npy"}"#, "line 2: --save-latents is for what"),
        (
            #"{"prompt": "a fox", "threads": 2}"#,
            "line 2: --threads, --low-memory, --max-memory and --panel-cache are for all jobs"
        ),
        (#"{"prompt": "a fox", "steps": 0}"#, "line 2: "), (#"{"#, "line 2: "),
        (#"{"prompt": "a fox", "grid": true}"#, "line 2: "), (#"{"prompt": "a fox", "none": 1}"#, "line 2: "),
    ]) func wrongLinesAreFoundBeforeTheWork(line: String, message: String) throws {
        let folder = try TemporaryFolder()
        try write(["an owl", line], in: folder)
        let outcome = try batch(in: folder)
        #expect(outcome.code == 1 && outcome.messages.contains(message), "\(outcome.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder["made"].path))
    }

    /// Without a model no job is tried.
    @Test func aMissingModelEndsTheBatch() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", "an owl"], in: folder)
        let outcome = try batch("--model", "none", in: folder)
        #expect(outcome.code == 1 && outcome.lines.count == 1 && outcome.messages.contains("none"), "\(outcome.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder["made"].path))
    }

    @Test func wrongOptions() throws {
        try expectUsageError(
            ["batch", "x.jsonl", "--out", "made", "--json"], saying: "--json is for what a batch doesn't make")
        try expectUsageError(["batch", "x.jsonl"], saying: "--out")
        for shard in ["0/2", "3/2", "1", "a/b", "1/0", "1/2/3"] {
            try expectUsageError(["batch", "x.jsonl", "--out", "made", "--shard", shard], saying: "expected I/N")
        }
        try expectUsageError(["batch", "x.jsonl", "y.jsonl", "--out", "made"], saying: "y.jsonl")
        try expectFailure(["batch", "x.jsonl", "--out", "made"], saying: "x.jsonl can't be read")
        try expectFailure(["batch", "status", "none"], saying: "isn't the folder of a batch")
        try expectFailure(["batch", "verify", "none"], saying: "isn't the folder of a batch")
    }

    /// Another program's folder, or a damaged one, is no crash.
    @Test func damagedFoldersAreErrors() throws {
        let folder = try TemporaryFolder()
        try write(["a fox", "an owl"], in: folder)
        #expect(try batch(in: folder).code == 0)
        let manifest = folder["made/manifest/1-of-1.jsonl"]
        let text = try String(contentsOf: manifest, encoding: .utf8)
        try ("not JSON\n" + text.replacing("pictures/", with: "../../pictures/")).write(
            to: manifest, atomically: true, encoding: .utf8)
        let (code, problems, _, _) = try verify(folder)
        #expect(
            code == 1 && problems[0].contains("1 lines that can't be read") && problems[1].contains("is no name of a picture"))
        try "{}".write(to: folder["made/batch.json"], atomically: true, encoding: .utf8)
        try expectFailure(["batch", "status", "made"], saying: "isn't what \"sd-onnx batch\" writes", in: folder)
        try #"{"format": 2, "title": "x", "options": [], "jobs": []}"#.write(
            to: folder["made/batch.json"], atomically: true, encoding: .utf8)
        try expectFailure(["batch", "verify", "made"], saying: "has format 2, expected 1", in: folder)
    }
}
