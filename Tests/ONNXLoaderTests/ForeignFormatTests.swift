import Foundation
import GraphRuntime
import ONNXLoader
import Testing

/// Files of other formats in the place of a model.
@Suite struct ForeignFormatTests {
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static let safetensors: [UInt8] = {
        let header = #"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
        return [UInt8(header.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + [0, 0, 128, 63]
    }()

    /// A zip's first entry: its signature, 26 bytes of sizes, the name.
    private static func zip(_ name: String) -> [UInt8] {
        [0x50, 0x4B, 0x03, 0x04] + [UInt8](repeating: 0, count: 22) + [UInt8(name.utf8.count), 0, 0, 0] + Array(name.utf8) + [
            0x80, 2,
        ]
    }

    static let files: [(String, [UInt8], String)] = [
        (
            "a Git LFS pointer, which stands for a file of 3438167534 bytes",
            text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\nsize 3438167534\n"
            ),
            "run \"git lfs pull\""
        ),
        ("a git-annex pointer", text("/annex/objects/SHA256E-s1--00.onnx\n"), "git annex get"),
        ("a web page", text("\r\n<!DOCTYPE html>\n<html><head><title>Sign in</title>"), "download the file itself"),
        ("a web page", text("<html lang=\"en\">"), "download the file itself"),
        ("a safetensors file, which holds weights and no graph", safetensors, "optimum-cli export onnx --model"),
        ("a GGUF or GGML file", text("GGUF") + [3, 0, 0, 0], "optimum-cli export onnx --model"),
        ("a Python pickle", [0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8], "it may hold code"),
        ("a Python pickle", [0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0, 0x7D], "optimum-cli export onnx --model"),
        ("a PyTorch checkpoint or TorchScript archive", zip("archive/data.pkl"), "optimum-cli export onnx --model"),
        ("a .npz archive of arrays", zip("a.npy"), "name the model's file"),
        ("a zip archive", zip("unet/model.onnx"), "unpack it"),
        ("an HDF5 file", [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0], "tf2onnx"),
        ("a .npy file", [0x93] + text("NUMPY") + [1, 0], "name the model's file"),
        ("a model in ONNX Runtime's own format (.ort)", [0x18, 0, 0, 0] + text("ORTM") + [0, 0], "take the .onnx file"),
        ("a TensorFlow Lite model", [0x1C, 0, 0, 0] + text("TFL3") + [0, 0], "tf2onnx"),
        ("a TensorRT engine", text("ptrt") + [0, 0, 0, 0x2B], "take the .onnx file"),
        ("a TensorRT engine", text("ftrt") + [0, 0, 0, 0x2B], "take the .onnx file"),
        ("gzip data", [0x1F, 0x8B, 8, 0, 0], "unpack it"),
        ("a tar archive", [UInt8](repeating: 0x61, count: 257) + text("ustar") + [0x00], "unpack it"),
        (
            "a model in OpenVINO's format (.xml and .bin)", text("<?xml version=\"1.0\"?>\n<net name=\"unet\" version=\"11\">"),
            "take the .onnx file"
        ),
        ("an XML file", text("<?xml version=\"1.0\"?><a/>"), "name the right file"),
        ("a PNG picture", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "name the right file"),
        ("a JSON file", text("{\"_class_name\": \"UNet2DConditionModel\"}"), "name the right file"),
        ("an ONNX model written as text", text("ir_version: 8\ngraph {\n}\n"), "onnx.load"),
        ("an ONNX model written as text", text("<ir_version: 8, opset_import: [\"\" : 18]>"), "onnx.load"),
        ("a text", text("404: Not Found\nhttps://example.com/größe"), "name the right file"),
        ("a file of zeros", [UInt8](repeating: 0, count: 5000), "download it again"),
    ]

    @Test(arguments: files) func isSaidByName(name: String, content: [UInt8], advice: String) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.onnx")
            try Data(content).write(to: url)
            for load in [{ try ONNXModel(contentsOf: url) }, { try ONNXModel(bytes: content) }] {
                expectFailure(.foreignFormat, "expected an ONNX model, found \(name)") { _ = try load() }
                expectFailure(.foreignFormat, advice) { _ = try load() }
            }
        }
    }

    @Test func whatIsNoFileOfAnyFormat() throws {
        expectFailure(.graph, "the file is empty: download or export it again") { _ = try ONNXModel(bytes: []) }
        // The start of a model says that it is one, however it ends.
        expectFailure(.wireFormat, "cut off") {
            _ = try ONNXModel(bytes: Array(modelBytes(graphProto(inputs: ["x"])).dropLast(20)))
        }
    }

    @Test func errorsAreLocalized() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.onnx")
            try Data("GGUF0000".utf8).write(to: url)
            let error = try #require(throws: LoadError.self) { try ONNXModel(contentsOf: url) }
            #expect(error.localizedDescription.hasPrefix("\(url.path): expected an ONNX model, found a GGUF"))
            #expect(error.localizedDescription.hasSuffix("FOLDER."))
        }
    }
}
