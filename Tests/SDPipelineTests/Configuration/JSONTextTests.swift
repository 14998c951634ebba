import Foundation
import ONNXLoader
import SDPipeline
import TestSupport
import Testing

@Suite struct JSONTextTests {
    /// A scheduler's configuration with a byte that isn't UTF-8 where a key without quotes may stand in JSON5.
    private static let brokenKey: [UInt8] = Array("{\"\":\"\",\"\":5,".utf8) + [0x83] + Array(" \"thres".utf8)

    private func refused(_ bytes: [UInt8], _ reason: String, sourceLocation: SourceLocation = #_sourceLocation) {
        do {
            _ = try JSONText.decode([String: Double].self, from: bytes)
            Issue.record("expected a refusal: \(reason)", sourceLocation: sourceLocation)
        } catch let error as JSONText.FormatError {
            #expect(error.reason.contains(reason), "\(error)", sourceLocation: sourceLocation)
        } catch {
            Issue.record("\(error)", sourceLocation: sourceLocation)
        }
    }

    @Test func refusesWhatIsNoText() {
        refused(Self.brokenKey, "it isn't UTF-8 text")
        refused([0xFF, 0xFE] + Array("{}".utf8), "it isn't UTF-8 text")
        refused([], "it is empty, expected JSON")
        refused(Array("{\u{0}\"\u{0}a".utf8), "it holds a zero byte")
        refused(Array("{\"a\": 1".utf8), "it isn't JSON")
        refused(Array("{a: 1}".utf8), "it isn't JSON")
        refused(Array("{'a': 1}".utf8), "it isn't JSON")
        refused(Array(repeating: UInt8(ascii: "["), count: 1_000_000), "nested more than 100 deep")
        let nested = String(repeating: "{\"a\":", count: 101) + "1" + String(repeating: "}", count: 101)
        refused(Array(nested.utf8), "nested more than 100 deep")
    }

    @Test func refusesWhatDownloadsLeave() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3438\n"
        refused(
            Array(pointer.utf8),
            "expected JSON, found a Git LFS pointer, which stands for a file of 3438 bytes: run \"git lfs pull\"")
        refused(Array("\n<!DOCTYPE html><html>".utf8), "expected JSON, found a web page")
    }

    /// Also where the two are written differently, and not in objects of their own.
    @Test func refusesKeysThatAreGivenTwice() throws {
        refused(Array(#"{"a": 1, "b": 2, "a": 3}"#.utf8), "the key \"a\" is given twice: keep one of them")
        refused(Array(#"{"a": 1, "\u0061" : 3}"#.utf8), "the key \"a\" is given twice")
        let separate = #"{"a": {"b": 1, "c": 2}, "b": {"b": 1}}"#
        #expect(try JSONText.decode([String: [String: Int]].self, from: Array(separate.utf8))["b"] == ["b": 1])
    }

    /// Python's json module writes these constants, which JSON doesn't have.
    @Test func takesPythonsConstants() throws {
        let text = #"{"a": -Infinity, "b": Infinity, "c": 1e-3, "d": -2, "e\"NaN": NaN}"#
        let values = try JSONText.decode([String: Double].self, from: [0xEF, 0xBB, 0xBF] + Array(text.utf8))
        #expect(values["a"] == -.infinity && values["b"] == .infinity && values["c"] == 1e-3 && values["d"] == -2)
        #expect(values["e\"NaN"]?.isNaN == true)
        let strings = try JSONText.decode([String].self, from: Array(#"["NaN", "-Infinity \\", "\"Infinity\""]"#.utf8))
        #expect(strings == ["NaN", "-Infinity \\", "\"Infinity\""])
        let configuration = try SchedulerConfiguration(json: Data(#"{"lambda_min_clipped": -Infinity}"#.utf8))
        #expect(configuration.values == ["lambda_min_clipped": .number(-.infinity)])
    }

    /// Changes bytes of configurations at random: whatever comes of it, it is a value or an error.
    @Test func survivesRandomChanges() throws {
        let folder = RepositoryRoot.url.appending(path: "Models/emoji")
        var texts = try ["scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json", "unet/config.json"].map {
            [UInt8](try Data(contentsOf: folder.appending(path: $0)))
        }
        texts.append(Self.brokenKey)
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: (state >> 33) % UInt64(bound))
        }
        for round in 0..<4000 {
            var changed = texts[round % texts.count]
            for _ in 0...random(5) {
                switch random(4) {
                case 0: changed[random(changed.count)] = UInt8(random(256))
                case 1 where changed.count > 8: changed.remove(at: random(changed.count))
                case 2: changed.removeSubrange((1 + random(changed.count))...)
                default: changed.insert(UInt8(random(256)), at: random(changed.count))
                }
            }
            _ = try? SchedulerConfiguration(json: Data(changed))
            _ = try? JSONText.decode([String: String].self, from: changed)
        }
    }

    /// Every file of a model's folder goes through the same reader.
    @Test(arguments: [
        "model_index.json", "unet/config.json", "vae_decoder/config.json", "text_encoder/config.json",
        "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/tokenizer_config.json",
        "tokenizer/merges.txt",
    ])
    func guardsEveryFile(name: String) throws {
        let source = RepositoryRoot.url.appending(path: "Models/emoji")
        let folder = FileManager.default.temporaryDirectory.appending(path: "json-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: source, to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        let pointer = Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".utf8)
        for (content, reason) in [(Self.brokenKey, "it isn't UTF-8 text"), (pointer, "a Git LFS pointer")] {
            try Data(content).write(to: folder.appending(path: name))
            expectError(reason) { try PipelineConfiguration(modelFolder: folder).folder }
            expectError(URL(filePath: name).lastPathComponent) { try PipelineConfiguration(modelFolder: folder).folder }
        }
        // A pipe would be waited for, a large file read for minutes.
        try FileManager.default.removeItem(at: folder.appending(path: name))
        unsafe try #require(mkfifo(folder.appending(path: name).path, 0o600) == 0)
        expectError("it isn't a regular file") { try PipelineConfiguration(modelFolder: folder).folder }
    }

    @Test func boundsTheSize() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "large-\(UUID().uuidString).json")
        try Data("{}".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        unsafe #expect(truncate(file.path, 1 << 40) == 0)
        #expect(throws: JSONText.FormatError(reason: "it has 1099511627776 bytes, expected at most 67108864")) {
            try JSONText.decode([String: Int].self, contentsOf: file)
        }
        #expect(throws: JSONText.FormatError(reason: "it has more than 1000 bytes")) {
            try JSONText.decode([String: Int].self, contentsOf: URL(filePath: "/dev/zero"), limit: 1000, takesPipes: true)
        }
    }

    /// No other code of the package decodes JSON.
    @Test func isTheOnlyReader() throws {
        let sources = RepositoryRoot.url.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(atPath: sources.path)).compactMap { $0 as? String }
        let readers = try files.filter { name in
            guard name.hasSuffix(".swift") else { return false }
            let source = try String(contentsOf: sources.appending(path: name), encoding: .utf8)
            return source.contains("JSONDecoder(") || source.contains("JSONSerialization.jsonObject")
                || source.contains("PropertyListDecoder")
        }
        #expect(files.count > 100 && readers == ["ONNXLoader/Files/JSONText.swift"])
    }
}
