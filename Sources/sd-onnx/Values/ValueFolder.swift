import Foundation
import GraphRuntime
import ONNXLoader
import SDPipeline

/// What index.json beside a dump's arrays says.
private struct ValueIndex: Codable {
    let model: String
    /// Files by the names of inputs and values.
    let inputs: [String: String]
    let values: [String: String]
}

/// The folder of a model's dumped inputs and values: .npy files, and index.json.
struct ValueFolder {
    private let url: URL
    private let index: ValueIndex

    init(_ url: URL) throws {
        self.url = url
        let file = url.appendingPathComponent("index.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw CommandFailure("\(url.path) has no index.json: make the folder with Tools/dump-intermediates.py or --dump.")
        }
        do { index = try JSONText.decode(ValueIndex.self, contentsOf: file) } catch let error as JSONText.FormatError {
            throw CommandFailure("\(file.path) can't be used: \(error.reason).")
        } catch {
            throw CommandFailure("\(file.path) isn't the index of a dump: expected an object with model, inputs and values.")
        }
    }

    var valueNames: Set<String> { Set(index.values.keys) }

    func inputs(for declarations: [ValueDeclaration]) throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for declaration in declarations {
            guard let file = index.inputs[declaration.name] else {
                throw CommandFailure("\(url.path) has no input \"\(declaration.name)\": it is a dump of another model.")
            }
            result[declaration.name] = try array(file).tensor(declaredAs: declaration.type)
        }
        return result
    }

    /// The value of a name; nil where the folder doesn't have it.
    func value(_ name: String) throws -> Tensor? {
        try index.values[name].map { try array($0).tensor() }
    }

    private func array(_ file: String) throws -> NPYArray {
        // By bytes: a mark that follows a slash makes another Character of it.
        guard !file.utf8.contains(UInt8(ascii: "/")), file.utf8.first != UInt8(ascii: ".") else {
            throw CommandFailure("\(url.path)/index.json names \(file), expected files of the same folder.")
        }
        return try NPYArray(contentsOf: url.appendingPathComponent(file))
    }
}

/// Writes a model's values into a folder as they are computed; index.json comes last.
final class ValueFolderWriter {
    private let folder: OutputFolder
    private let files: [String: String]
    private let inputs: [String]
    private var written: [String] = []

    init(_ folder: OutputFolder, inputs: [String: Tensor], values: [String]) throws {
        self.folder = folder
        self.inputs = inputs.keys.sorted()
        let names = self.inputs + values
        files = Dictionary(zip(names, OutputNames.fileNames(for: names)), uniquingKeysWith: { first, _ in first })
        try folder.make()
        for (name, tensor) in inputs { try write(name, tensor) }
    }

    /// Values that a .npy file can't hold are left out, and those that the model doesn't name.
    func add(_ name: String, _ tensor: Tensor) throws {
        guard tensor.dtype != .string, files[name] != nil else { return }
        try write(name, tensor)
        written.append(name)
    }

    private func write(_ name: String, _ tensor: Tensor) throws {
        guard let file = files[name] else { return }
        let array = try NPYArray(tensor, name: name)
        // Not durably: there may be thousands, and a dump that a power cut ends has no index and is made again.
        try Interruption.whileWriting {
            try AtomicFile.write(array.bytes, to: folder.url.appendingPathComponent(file + ".npy"), durably: false)
        }
    }

    func finish(model: String) throws {
        func list(_ names: [String]) -> [String: String] {
            Dictionary(names.map { ($0, (files[$0] ?? "") + ".npy") }, uniquingKeysWith: { first, _ in first })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let content = try encoder.encode(ValueIndex(model: model, inputs: list(inputs), values: list(written)))
        try Interruption.whileWriting {
            try AtomicFile.write([UInt8](content) + [0x0A], to: folder.url.appendingPathComponent("index.json"))
        }
    }
}
