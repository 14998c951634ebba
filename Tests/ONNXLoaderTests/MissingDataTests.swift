import Foundation
import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

/// Models that are read although the files of their external data can't be.
@Suite struct MissingDataTests {
    private func load(_ tensors: [Proto], from folder: URL) throws -> ONNXModel {
        let url = folder.appendingPathComponent("model.onnx")
        try Data(modelBytes(graphProto(initializers: tensors))).write(to: url)
        return try ONNXModel(contentsOf: url, toleratesMissingData: true)
    }

    /// Of the models that onnx wrote, everything but the values is as with the data.
    @Test(arguments: ["external-files", "external-model.onnx_data", "external-weights.pb"])
    func describesTensors(name: String) throws {
        let source = fixtures.appendingPathComponent(name).appendingPathComponent("model.onnx")
        let whole = try ONNXModel(contentsOf: source, toleratesMissingData: true)
        #expect(whole.missingData.isEmpty && whole.graph.initializers.values.allSatisfy(\.hasValues))
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.onnx")
            try FileManager.default.copyItem(at: source, to: url)
            let model = try ONNXModel(contentsOf: url, toleratesMissingData: true)
            #expect(model.summary == whole.summary && model.externalFiles == whole.externalFiles)
            #expect(model.missingData.map(\.location) == whole.externalFiles)
            #expect(model.missingData.reduce(0) { $0 + $1.tensorCount } == whole.summary.initializerCount)
            #expect(model.missingData.reduce(0) { $0 + $1.byteCount } == whole.summary.weightBytes)
            for (id, tensor) in whole.graph.initializers {
                let found = try #require(model.graph.initializers[id])
                #expect(found.dtype == tensor.dtype && found.shape == tensor.shape && !found.hasValues)
            }
            #expect(try model.graph.weightStatistics().allSatisfy { !$0.hasValues && $0.minimum == nil })
            // Without being asked for, it is an error as before.
            expectFailure(.externalData, "doesn't exist") { _ = try ONNXModel(contentsOf: url) }
            let library = OperatorLibrary(registry: OperatorRegistry([], newestOpset: ["": 17]))
            try expectError("has no values: the model was read without the file that they lie in") {
                try Session(graph: model.graph, library: library)
            }
        }
    }

    /// What lies before the end of a file that was cut off is known.
    @Test func keepsWhatIsThere() throws {
        try withTemporaryFolder { folder in
            try Data(littleEndian([1, 2, 3])).write(to: folder.appendingPathComponent("w.bin"))
            func tensor(_ name: String, _ offset: Int) -> Proto {
                externalTensor(name, count: 3, [("location", "w.bin"), ("offset", "\(offset)"), ("length", "12")])
            }
            let model = try load([tensor("a", 0), tensor("b", 4), tensor("c", .max)], from: folder)
            try expectEqual(#require(model.graph.initializer("a")), [1, 2, 3] as [Float])
            #expect(model.graph.initializer("b")?.hasValues == false && model.graph.initializer("c")?.hasValues == false)
            let missing = MissingData(
                location: "w.bin", reason: "the file \"w.bin\" of external data ends after 12 bytes", tensorCount: 2,
                byteCount: 24)
            #expect(model.missingData == [missing])
        }
    }

    /// Whatever is wrong with a file is said; which files a model may read is as ever.
    @Test func saysWhatIsWrong() throws {
        try withTemporaryFolder { folder in
            try Data(littleEndian([1, 2, 3, 4])).write(to: folder.appendingPathComponent("long"))
            try Data("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n".utf8).write(
                to: folder.appendingPathComponent("lfs"))
            try FileManager.default.createSymbolicLink(
                atPath: folder.appendingPathComponent("link").path, withDestinationPath: "long")
            for (location, reason) in [
                ("none", "the file \"none\" of external data doesn't exist"), ("no/folder", "doesn't exist"),
                ("long/x", "its folder is none"), ("long", "\"long\" has 16 bytes from 0 on, but the tensor takes 12"),
                ("lfs", "found a Git LFS pointer"), ("link", "is a symbolic link"), (".ssh/key", "names the hidden file"),
                ("../w", "leaves the model's folder"), ("/etc/passwd", "is an absolute path"), (".", "names no file"),
            ] {
                let model = try load([externalTensor("w", count: 3, [("location", location)])], from: folder)
                #expect(model.missingData.count == 1)
                #expect(model.missingData.first?.reason.contains(reason) == true, "\(model.missingData)")
                #expect(model.graph.initializer("w")?.hasValues == false)
            }
            // What the model itself gets wrong stays an error.
            for (entries, text) in [
                ([("location", "w"), ("offset", "x")], "the offset \"x\" of the external data is no number of bytes"),
                ([("location", "w"), ("length", "8")], "the external data have the length 8, but the tensor takes 12 bytes"),
                ([("offset", "0")], "the external data have no location"),
            ] {
                expectFailure(.externalData, text) { _ = try load([externalTensor("w", count: 3, entries)], from: folder) }
            }
        }
    }

    /// Tensors without values are no reason to compare, to make dense or to normalise them.
    @Test func readsNoValues() throws {
        try withTemporaryFolder { folder in
            let file = [("location", "none")]
            let twice = try load(
                [externalTensor("w", count: 3, file), floatTensor("w", [1, 2, 3])], from: folder)
            #expect(twice.graph.initializers.count == 1)
            let large = try load([externalTensor("w", count: 1 << 40, file)], from: folder)
            #expect(large.missingData.first?.byteCount == 4 << 40)
            expectFailure(.tensor, "no addresses for a tensor") {
                _ = try load([externalTensor("w", count: 1 << 47, file)], from: folder)
            }
        }
    }
}
