/// What a file is that lies where another was expected, by the bytes that its format begins with, and what helps.
package struct ForeignFormat: Sendable, Equatable {
    /// For a sentence: `a Git LFS pointer`.
    package let name: String
    /// What to do, without a final stop.
    package let advice: String

    /// Bytes from the start of a file that tell its format.
    package static let headLength = 1024

    /// - Parameters:
    ///   - head: the file's first bytes, ``headLength`` where it has as many.
    ///   - byteCount: the size of the whole file.
    /// - Returns: nil for bytes that no listed format begins with.
    package static func recognize(_ head: [UInt8], byteCount: Int) -> ForeignFormat? {
        placeholder(head) ?? weights(head, byteCount: byteCount) ?? compiled(head) ?? archive(head) ?? picture(head)
            ?? text(head)
    }

    /// What download tools leave in the place of a file: it is never the content of anything, not even of a file of raw values.
    package static func placeholder(_ head: [UInt8]) -> ForeignFormat? {
        let start = head.drop { $0 == 0x20 || (0x09...0x0D).contains($0) || [0xEF, 0xBB, 0xBF].contains($0) }
        if start.starts(with: Array("version https://git-lfs.github.com/spec/".utf8)) {
            let lines = String(decoding: start.prefix(512), as: UTF8.self).split(whereSeparator: \.isNewline)
            let size = lines.first { $0.hasPrefix("size ") }.flatMap { Int($0.dropFirst(5)) }
            return ForeignFormat(
                name: "a Git LFS pointer" + (size.map { ", which stands for a file of \($0) bytes" } ?? ""),
                advice: "run \"git lfs pull\" in the folder that was cloned, or download the file itself")
        }
        if start.starts(with: Array("/annex/objects/".utf8)) {
            return ForeignFormat(name: "a git-annex pointer", advice: "run \"git annex get\" on it")
        }
        let word = String(decoding: start.prefix(64), as: UTF8.self).lowercased()
        if word.hasPrefix("<!doctype html") || word.hasPrefix("<html") || word.hasPrefix("<head") {
            return ForeignFormat(
                name: "a web page",
                advice:
                    "the download saved the page about the file (\"/blob/\" in its address) or a refusal: download the file itself "
                    + "(\"/resolve/\" in its address)")
        }
        return nil
    }

    private static func weights(_ head: [UInt8], byteCount: Int) -> ForeignFormat? {
        if head.count > 8, head[8] == UInt8(ascii: "{") {
            // Eight bytes of the header's length, then the header, which is JSON.
            let length = head[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            if length <= UInt64(min(byteCount, 100_000_000)) {
                return ForeignFormat(name: "a safetensors file, which holds weights and no graph", advice: ExportCommand.advice)
            }
        }
        if head.starts(with: Array("GGUF".utf8)) || ["ggml", "ggjt", "ggla", "lmgg", "tjgg"].contains(text(head, 0..<4)) {
            return ForeignFormat(name: "a GGUF or GGML file, which holds weights and no graph", advice: ExportCommand.advice)
        }
        if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) {
            return ForeignFormat(
                name: "a Python pickle, as PyTorch's checkpoints are",
                advice: "it isn't read, as it may hold code; " + ExportCommand.advice)
        }
        if head.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) {
            return ForeignFormat(
                name: "an HDF5 file, as Keras writes them", advice: "export the model to ONNX, for example with tf2onnx")
        }
        if head.starts(with: [0x93] + Array("NUMPY".utf8)) {
            return ForeignFormat(name: "a .npy file, which holds an array", advice: "name the model's file here")
        }
        return nil
    }

    /// Models that another program prepared for itself.
    private static func compiled(_ head: [UInt8]) -> ForeignFormat? {
        switch text(head, 4..<8) {
        case "ORTM":
            return ForeignFormat(
                name: "a model in ONNX Runtime's own format (.ort)", advice: "take the .onnx file that it was made of")
        case "TFL3":
            return ForeignFormat(name: "a TensorFlow Lite model", advice: "export the model to ONNX, for example with tf2onnx")
        default: break
        }
        if ["ptrt", "ftrt"].contains(text(head, 0..<4)) {
            return ForeignFormat(
                name: "a TensorRT engine, which runs on one kind of GPU", advice: "take the .onnx file that it was built from")
        }
        return nil
    }

    private static func archive(_ head: [UInt8]) -> ForeignFormat? {
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) || head.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
            let names = String(decoding: head, as: UTF8.self)
            if names.contains("/data.pkl") || names.contains("/version") && names.contains("/code/")
                || names.contains("constants.pkl")
                || names.contains("/byteorder") || names.contains(".format_version")
            {
                return ForeignFormat(name: "a PyTorch checkpoint or TorchScript archive", advice: ExportCommand.advice)
            }
            if names.contains(".npy") {
                return ForeignFormat(name: "a .npz archive of arrays", advice: "name the model's file here")
            }
            return ForeignFormat(name: "a zip archive", advice: "unpack it and name the .onnx file in it")
        }
        let compressed: [(name: String, start: [UInt8])] = [
            ("gzip", [0x1F, 0x8B]), ("bzip2", Array("BZh".utf8)), ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]),
            ("Zstandard", [0x28, 0xB5, 0x2F, 0xFD]), ("7z", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]), ("RAR", Array("Rar!".utf8)),
            ("LZ4", [0x04, 0x22, 0x4D, 0x18]),
        ]
        if let format = compressed.first(where: { head.starts(with: $0.start) }) {
            return ForeignFormat(name: "\(format.name) data", advice: "unpack it and name the .onnx file in it")
        }
        if text(head, 257..<262) == "ustar" {
            return ForeignFormat(name: "a tar archive", advice: "unpack it and name the .onnx file in it")
        }
        return nil
    }

    private static func picture(_ head: [UInt8]) -> ForeignFormat? {
        let formats: [(name: String, start: [UInt8])] = [
            ("a PNG picture", [0x89, 0x50, 0x4E, 0x47]), ("a JPEG picture", [0xFF, 0xD8, 0xFF]),
            ("a GIF picture", Array("GIF8".utf8)),
            ("a WebP picture or another RIFF file", Array("RIFF".utf8)), ("a PDF document", Array("%PDF-".utf8)),
            ("a program", [0x7F, 0x45, 0x4C, 0x46]),
        ]
        return formats.first { head.starts(with: $0.start) }.map {
            ForeignFormat(name: $0.name, advice: "name the right file here")
        }
    }

    private static func text(_ head: [UInt8]) -> ForeignFormat? {
        if head.count >= 64, head.allSatisfy({ $0 == 0 }) {
            return ForeignFormat(name: "a file of zeros, as a download that broke off leaves it", advice: "download it again")
        }
        // The head may end within a character.
        let isText = head.count >= 12 && head.allSatisfy { $0 >= 0x20 && $0 != 0x7F || (0x09...0x0D).contains($0) }
        guard isText, (0..<4).contains(where: { String(validating: head.dropLast($0), as: UTF8.self) != nil }) else {
            return nil
        }
        let text = String(decoding: head, as: UTF8.self)
        if text.contains("<net ") {
            return ForeignFormat(
                name: "a model in OpenVINO's format (.xml and .bin)", advice: "take the .onnx file that it was made of")
        }
        let start = text.drop(while: \.isWhitespace)
        if start.hasPrefix("<?xml") { return ForeignFormat(name: "an XML file", advice: "name the right file here") }
        if start.hasPrefix("{") || start.hasPrefix("[") {
            return ForeignFormat(name: "a JSON file", advice: "name the right file here")
        }
        if start.hasPrefix("ir_version") || start.hasPrefix("<ir_version") || start.hasPrefix("< ir_version") {
            return ForeignFormat(
                name: "an ONNX model written as text",
                advice: "save it in the binary form with the onnx package (onnx.load, onnx.save)")
        }
        return ForeignFormat(name: "a text", advice: "name the right file here")
    }

    private static func text(_ head: [UInt8], _ range: Range<Int>) -> String {
        head.count >= range.upperBound ? String(decoding: head[range], as: UTF8.self) : ""
    }
}

/// The command of another tool that makes ONNX models: for messages that say what to do with a model of another kind.
package enum ExportCommand {
    /// The command for the pipeline of a model: a name on the Hugging Face Hub, or a folder in diffusers' format.
    package static func pipeline(_ model: String, to folder: String) -> String {
        "optimum-cli export onnx --model \(model) --task text-to-image \(folder)"
    }

    static let advice = "export the model that it belongs to: optimum-cli export onnx --model MODEL FOLDER"
}
