import Foundation
import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct ExternalDataTests {
    /// Writes a model with one external tensor of three floats into the folder.
    private func write(_ entries: [(String, String)], to folder: URL) throws -> URL {
        let url = folder.appendingPathComponent("model.onnx")
        let bytes = modelBytes(graphProto(initializers: [externalTensor("w", count: 3, entries)]))
        try Data(bytes).write(to: url)
        return url
    }

    private func load(_ entries: [(String, String)], from folder: URL) throws -> [Float] {
        let graph = try ONNXModel(contentsOf: try write(entries, to: folder)).graph
        return try #require(graph.initializer("w")).array(of: Float.self)
    }

    private func fail(_ text: String, _ entries: [(String, String)], in folder: URL, kind: LoadError.Kind = .externalData) {
        expectFailure(kind, text) { _ = try load(entries, from: folder) }
    }

    @Test func offsetsAndLengths() throws {
        try withTemporaryFolder { folder in
            try Data(littleEndian([9, 1, 2, 3, 8])).write(to: folder.appendingPathComponent("weights.pb"))
            try Data(littleEndian([1, 2, 3])).write(to: folder.appendingPathComponent("w"))
            let file = ("location", "weights.pb")
            #expect(try load([file, ("offset", "4"), ("length", "12")], from: folder) == [1, 2, 3])
            #expect(try load([("location", "./w"), ("checksum", "ignored")], from: folder) == [1, 2, 3])
            // Without a length, or with 0: what is left of the file.
            #expect(try load([("location", "w"), ("length", "0")], from: folder) == [1, 2, 3])
            #expect(try load([file, ("offset", "8")], from: folder) == [2, 3, 8])
        }
    }

    @Test func wrongEntries() throws {
        try withTemporaryFolder { folder in
            try Data(littleEndian([9, 1, 2, 3, 8])).write(to: folder.appendingPathComponent("weights.pb"))
            let file = ("location", "weights.pb")
            fail("have no location", [("offset", "4")], in: folder)
            fail("have no location", [("location", "")], in: folder)
            fail("\"location\" twice", [file, file], in: folder)
            fail("the length 8, but the tensor takes 12", [file, ("length", "8")], in: folder)
            fail("has 20 bytes from 0 on, but the tensor takes 12", [file, ("length", "0")], in: folder)
            fail("the length \"-12\"", [file, ("length", "-12")], in: folder)
            fail("the length \"99999999999999999999\"", [file, ("length", "99999999999999999999")], in: folder)
            fail("the offset \"four\"", [file, ("offset", "four")], in: folder)
            fail("the offset \"-4\"", [file, ("offset", "-4")], in: folder)
            fail(
                "12 bytes from 12 on leave \"weights.pb\", which has 20", [file, ("offset", "12"), ("length", "12")], in: folder
            )
            fail("leave", [file, ("offset", "\(Int.max)"), ("length", "12")], in: folder)
            fail("leave", [file, ("offset", "21"), ("length", "12")], in: folder)
            fail("has 20 bytes from 0 on, but the tensor takes 12", [file], in: folder)
            fail("doesn't exist", [("location", "missing.bin")], in: folder)
        }
    }

    @Test func pathsOutOfTheFolder() throws {
        try withTemporaryFolder { root in
            let folder = root.appendingPathComponent("model")
            let inner = folder.appendingPathComponent("inner")
            try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
            for place in [root, folder, inner] {
                try Data(littleEndian([1, 2, 3])).write(to: place.appendingPathComponent("w"))
            }
            #expect(try load([("location", "inner/w")], from: folder) == [1, 2, 3])
            fail("leaves the model's folder", [("location", "../w")], in: folder)
            fail("leaves the model's folder", [("location", "inner/../../w")], in: folder)
            fail("leaves the model's folder", [("location", "../model/w")], in: folder)
            // Whether the folder in between exists or not.
            #expect(try load([("location", "inner/../w")], from: folder) == [1, 2, 3])
            #expect(try load([("location", "none/.././inner//w")], from: folder) == [1, 2, 3])
            // A mark makes another Character of the slash, but no other byte.
            fail("leaves the model's folder", [("location", "../\u{301}w")], in: folder)
            fail("absolute path", [("location", "/\u{301}w")], in: folder)
            fail("names no file", [("location", "inner/..")], in: folder)
            for hidden in [".w", "inner/.ssh/key", ".config/x", "..w"] {
                fail("names the hidden file or folder", [("location", hidden)], in: folder)
            }
            fail("absolute path", [("location", root.appendingPathComponent("w").path)], in: folder)
            fail("absolute path", [("location", folder.appendingPathComponent("w").path)], in: folder)
            func link(_ name: String, _ target: String) throws {
                try FileManager.default.createSymbolicLink(
                    atPath: folder.appendingPathComponent(name).path, withDestinationPath: target)
            }
            try link("out", "../w")
            try link("parent", "..")
            try link("within", "inner/w")
            try link("loop", "loop")
            try link("folder", "inner")
            for location in ["out", "parent/w", "loop", "within", "folder/w"] {
                fail("is a symbolic link, or leads through one", [("location", location)], in: folder)
            }
            fail("its folder is none", [("location", "w/x")], in: folder)
            // The path to the folder is who opens the model's own choice.
            let entry = root.appendingPathComponent("entry")
            try FileManager.default.createSymbolicLink(at: entry, withDestinationURL: folder)
            #expect(try load([("location", "inner/w")], from: entry) == [1, 2, 3])
        }
    }

    /// The layout of the Hugging Face hub's cache: model and data are links into one folder of blobs.
    @Test func cacheOfBlobs() throws {
        try withTemporaryFolder { root in
            let blobs = root.appendingPathComponent("blobs")
            let folder = root.appendingPathComponent("snapshots/main/unet")
            for place in [blobs, folder] {
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            }
            let model = try write([("location", "model.onnx_data")], to: blobs)
            try FileManager.default.moveItem(at: model, to: blobs.appendingPathComponent("0a"))
            try Data(littleEndian([1, 2, 3])).write(to: blobs.appendingPathComponent("0b"))
            for (name, blob) in [("model.onnx", "0a"), ("model.onnx_data", "0b")] {
                try FileManager.default.createSymbolicLink(
                    atPath: folder.appendingPathComponent(name).path, withDestinationPath: "../../../blobs/\(blob)")
            }
            let link = folder.appendingPathComponent("model.onnx")
            let graph = try ONNXModel(contentsOf: link).graph
            #expect(try graph.initializer("w")?.array(of: Float.self) == [1, 2, 3])

            // A link elsewhere, to a hidden file, or one more link: none is followed.
            let data = folder.appendingPathComponent("model.onnx_data")
            try Data(littleEndian([1, 2, 3])).write(to: root.appendingPathComponent("w"))
            try Data(littleEndian([1, 2, 3])).write(to: blobs.appendingPathComponent(".w"))
            try FileManager.default.createSymbolicLink(
                atPath: blobs.appendingPathComponent("0c").path, withDestinationPath: "0b")
            for target in ["../../../w", "../../../blobs/.w", "../../../blobs/0c", root.appendingPathComponent("w").path, ".."]
            {
                try FileManager.default.removeItem(at: data)
                try FileManager.default.createSymbolicLink(atPath: data.path, withDestinationPath: target)
                expectFailure(.externalData, "is a symbolic link") { _ = try ONNXModel(contentsOf: link) }
            }
            // Absolute links, as older versions of the hub's client make them.
            for (name, blob) in [("model.onnx", "0a"), ("model.onnx_data", "0b")] {
                let url = folder.appendingPathComponent(name)
                try FileManager.default.removeItem(at: url)
                try FileManager.default.createSymbolicLink(at: url, withDestinationURL: blobs.appendingPathComponent(blob))
            }
            #expect(try ONNXModel(contentsOf: link).graph.initializer("w")?.array(of: Float.self) == [1, 2, 3])
            // A model that is a file itself has no such choice made for it.
            try FileManager.default.removeItem(at: link)
            try FileManager.default.copyItem(at: blobs.appendingPathComponent("0a"), to: link)
            expectFailure(.externalData, "is a symbolic link") { _ = try ONNXModel(contentsOf: link) }
        }
    }

    /// What download tools leave in the place of a file, whatever the size that the tensor takes.
    @Test func placeholders() throws {
        try withTemporaryFolder { folder in
            let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4000\n"
            try Data(pointer.utf8).write(to: folder.appendingPathComponent("w"))
            let sentence =
                "expected external data in \"w\", found a Git LFS pointer, which stands for a file of 4000 bytes: run \"git lfs pull\""
            fail(sentence, [("location", "w")], in: folder, kind: .foreignFormat)
            fail(sentence, [("location", "w"), ("length", "12")], in: folder, kind: .foreignFormat)
            // Raw values may begin as any format does; where they don't fit, the format is what is wrong.
            try Data([0x50, 0x4B, 0x03, 0x04] + littleEndian([2, 3])).write(to: folder.appendingPathComponent("w"))
            #expect(try load([("location", "w")], from: folder).dropFirst() == [2, 3])
            fail("found a zip archive: unpack it", [("location", "w"), ("offset", "4")], in: folder, kind: .foreignFormat)
        }
    }

    @Test func filesThatAreNone() throws {
        try withTemporaryFolder { folder in
            try FileManager.default.createDirectory(at: folder.appendingPathComponent("d"), withIntermediateDirectories: true)
            let pipe = folder.appendingPathComponent("pipe").path
            unsafe try #require(mkfifo(pipe, 0o600) == 0)
            fail("expected a regular file, found a folder", [("location", "d")], in: folder, kind: .file)
            fail("expected a regular file, found a named pipe", [("location", "pipe")], in: folder, kind: .file)
            expectFailure(.file, "found a named pipe") { _ = try ONNXModel(contentsOf: URL(fileURLWithPath: pipe)) }
            expectFailure(.file, "found a folder") { _ = try ONNXModel(contentsOf: folder) }
            expectFailure(.file, "can't open the file") {
                _ = try ONNXModel(contentsOf: folder.appendingPathComponent("none.onnx"))
            }
            if let web = URL(string: "https://example.com/model.onnx") {
                expectFailure(.file, "expected the URL of a file") { _ = try ONNXModel(contentsOf: web) }
            }
        }
    }

    @Test func errorsNameTheModel() throws {
        try withTemporaryFolder { folder in
            let url = try write([("location", "none")], to: folder)
            do {
                _ = try ONNXModel(contentsOf: url)
                Issue.record("expected an error")
            } catch let error as LoadError {
                #expect(error.file == url.path)
                #expect(error.description.hasPrefix(url.path + ": tensor \"w\": "))
            }
        }
    }

    @Test func modelsFromMemory() throws {
        try withTemporaryFolder { folder in
            try Data(littleEndian([1, 2, 3])).write(to: folder.appendingPathComponent("w"))
            let bytes = modelBytes(graphProto(initializers: [externalTensor("w", count: 3, [("location", "w")])]))
            let graph = try ONNXModel(bytes: bytes, baseDirectory: folder).graph
            try expectEqual(#require(try graph.initializer("w")), [1, 2, 3] as [Float])
            expectFailure(.externalData, "no folder") { _ = try ONNXModel(bytes: bytes) }
        }
    }

    @Test func valuesInTwoPlaces() throws {
        expectFailure(.tensor, "both external and in the message") {
            var tensor = externalTensor("w", count: 1, [("location", "w")])
            tensor.data(9, littleEndian([1]))
            _ = try loadTensor(tensor)
        }
        expectFailure(.externalData, "string values can't be external") {
            _ = try loadTensor(tensorProto("w", type: 8, dims: [1]) { $0.int(14, 1) })
        }
    }
}
