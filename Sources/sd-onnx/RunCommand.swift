import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs any ONNX model on arrays from .npy files.",
        discussion: "sd-onnx run model.onnx --input sample=x.npy --input timestep=t.npy --output-dir results")

    @Argument(help: "The model.")
    var model: String

    @Option(name: [.short, .long], help: ArgumentHelp("The array for an input.", valueName: "NAME=FILE.npy"))
    var input: [NamedText] = []

    @Option(help: ArgumentHelp("The folder for the outputs, NAME.npy each; it is made where it is missing.", valueName: "DIR"))
    var outputDir: String

    @Flag(help: "Run the graph node by node as it stands in the file.")
    var noOptimize = false

    @OptionGroup var threads: ThreadOptions

    @Flag(help: "Print a JSON object with the outputs' files, types and shapes.")
    var json = false

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    private struct Output: Encodable {
        let name: String
        let file: String
        let type: String
        let shape: [Int]
    }

    func run() throws {
        Interruption.install()
        let session = try Session(
            graph: ONNXModel(contentsOf: URL(fileURLWithPath: model)).graph, library: StandardOperators.library,
            options: SessionOptions(optimize: !noOptimize, threads: try threads.makePool()))
        var inputs: [String: Value] = [:]
        for given in input {
            guard inputs[given.name] == nil else { throw ValidationError("The input \(given.name) is given twice.") }
            let array = try NPYArray(contentsOf: URL(fileURLWithPath: given.text))
            let declared = session.inputs.first { $0.name == given.name }
            inputs[given.name] = .tensor(try array.tensor(declaredAs: declared?.type))
        }
        let values = try session.run(values: inputs)
        let names = OutputNames.fileNames(for: session.outputs.map(\.name))
        let folder = URL(fileURLWithPath: outputDir)
        let arrays = try zip(session.outputs, values).map { declaration, value in
            try NPYArray(try value.asTensor(), name: declaration.name)
        }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let files = names.map { folder.appendingPathComponent($0 + ".npy") }
        try Interruption.whileWriting {
            for (array, file) in zip(arrays, files) { try array.write(to: file) }
        }
        try report(zip(zip(session.outputs, values), files).map { output, file in
            let tensor = try output.1.asTensor()
            return Output(name: output.0.name, file: file.path, type: "\(tensor.dtype)", shape: tensor.shape.dimensions)
        })
    }

    private func report(_ outputs: [Output]) throws {
        if json { return try StandardStreams.printJSON(["outputs": outputs]) }
        guard !quiet else { return }
        for output in outputs { print("\(output.name): \(output.type)\(output.shape) in \(output.file)") }
    }
}

/// `NAME=TEXT`, split at the last `=` whose left side isn't empty, since names may contain one and paths rarely do.
struct NamedText: ExpressibleByArgument {
    let name: String
    let text: String

    init?(argument: String) {
        guard let split = argument.firstIndex(of: "="), split != argument.startIndex, argument.index(after: split) != argument.endIndex
        else { return nil }
        name = String(argument[..<split])
        text = String(argument[argument.index(after: split)...])
    }
}

/// File names for outputs.
enum OutputNames {
    /// The names with every character that can't be in a file name replaced by `_`, and a number behind those that then collide.
    static func fileNames(for names: [String]) -> [String] {
        var used: Set<String> = []
        return names.map { name in
            var base = String(name.map { $0.isASCII && !($0.isLetter || $0.isNumber || "._-".contains($0)) ? "_" : $0 })
            if base.isEmpty || base.allSatisfy({ $0 == "." }) { base = "_" }
            // A file name of 255 bytes is the most that common file systems take.
            while base.utf8.count > 200 { base.removeLast() }
            var candidate = base
            var number = 2
            while !used.insert(candidate).inserted {
                candidate = "\(base)_\(number)"
                number += 1
            }
            return candidate
        }
    }
}
