import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs any ONNX model on arrays from .npy files.",
        discussion: """
            Each output is written as NAME.npy; characters of its name that can't be in a file name become _. bfloat16, which numpy \
            lacks, is written as float32, and read from uint16 bit patterns.

            EXAMPLE:
              sd-onnx run vae_decoder/model.onnx -i latent_sample=x.npy --output-dir results
            """)

    @Argument(help: "The model.", transform: OptionValues.path)
    var model: String

    @Option(
        name: [.short, .long], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The array for an input; one of these for each input.", valueName: "NAME=FILE.npy"),
        transform: OptionValues.namedFile)
    var input: [NamedFile] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The folder for the outputs; it is made where it is missing.", valueName: "DIR"),
        transform: OptionValues.path)
    var outputDir: String

    @Flag(help: "Run the graph node by node as it stands in the file, to find out where a difference comes from.")
    var noOptimize = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write where the time went, in the form of \"sd-onnx bench --json\".", valueName: "FILE.json"),
        transform: OptionValues.path)
    var profile: String?

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @OptionGroup var numbers: PrecisionOptions

    @Flag(help: "Print a JSON object with the outputs' files, types and shapes.")
    var json = false

    @Flag(help: "Print nothing but errors.")
    var quiet = false

    private struct Output: Encodable {
        let name: String
        let file: String
        /// The type that the model answers.
        let type: String
        let shape: [Int]
    }

    func validate() throws {
        if let name = input.map(\.name).firstDuplicate { throw ValidationError("The input \"\(name)\" is given twice.") }
        if profile == "" || profile == "-" {
            throw ValidationError("--profile is \(profile == "-" ? "-" : "empty"), expected a file's name.")
        }
        try OutputFormat.json.check(profile, option: "--profile")
        try numbers.check(noOptimize: noOptimize)
        if outputDir.isEmpty { throw ValidationError("--output-dir is empty, expected a folder's name.") }
    }

    func run() throws {
        let folder = OutputFolder(outputDir)
        try folder.check()
        let arrays = try input.map { (name: $0.name, array: try NPYArray(contentsOf: URL(fileURLWithPath: $0.path))) }
        let profiling = try profile.map { try ProfiledRun(file: $0, precision: numbers.precision) }
        let pool = try threads.makePool()
        let session = try Session(
            modelFile: model, optimize: !noOptimize, pool: pool, memory: memory, numbers: numbers)
        profiling?.didLoad()
        try checkOutputs(session)
        let files = OutputNames.fileNames(for: session.outputs.map(\.name)).map {
            folder.url.appendingPathComponent($0 + ".npy")
        }
        if let profile {
            let file = URL(fileURLWithPath: profile).resolvingSymlinksInPath()
            guard !([folder.url] + files).map({ $0.resolvingSymlinksInPath().path }).contains(file.path) else {
                throw CommandFailure("--profile names \(file.path), where an output goes: give it a file of its own.")
            }
        }
        if folder.exists { try AtomicFile.check(files) }
        let (values, profileFile) = try run(session, arrays, profiling, pool)

        let results = try zip(session.outputs, values).map { declaration, value in
            guard case .tensor(let tensor) = value else { throw Self.unwritable(declaration.name, value.kind) }
            return (name: declaration.name, tensor: tensor)
        }
        let contents = try results.map { try NPYArray($0.tensor, name: $0.name).bytes }
        try Interruption.whileWriting {
            try folder.make()
            try AtomicFile.write(zip(contents, files).map { ($0, $1) } + (profileFile.map { [$0] } ?? []))
        }
        try report(
            zip(results, files).map { result, file in
                Output(
                    name: result.name, file: file.path, type: "\(result.tensor.dtype)", shape: result.tensor.shape.dimensions)
            })
    }

    /// Refuses models whose outputs no .npy file can hold before they run.
    private func checkOutputs(_ session: Session) throws {
        for output in session.outputs {
            switch output.type {
            case .sequence, .map, .sparseTensor: throw Self.unwritable(output.name, output.type.map { "a \($0)" } ?? "")
            case .tensor(.string, _): throw Self.unwritable(output.name, "a tensor of strings")
            // An optional may hold a tensor; that shows when it has run.
            case .tensor, .optional, nil: break
            }
        }
    }

    private static func unwritable(_ name: String, _ kind: String) -> CommandFailure {
        CommandFailure("The output \"\(name)\" is \(kind), which a .npy file can't hold; expected a tensor of numbers.")
    }

    private func run(
        _ session: Session, _ arrays: [(name: String, array: NPYArray)], _ profiling: ProfiledRun?, _ pool: ThreadPool
    ) throws -> (values: [Value], profile: OutputFile?) {
        let given = Set(arrays.map(\.name))
        let missing = session.inputs.filter { !given.contains($0.name) }
        guard missing.isEmpty else {
            let list = missing.map { "\"\($0.name)\"" + ($0.type.map { " (\($0))" } ?? "") }.joined(separator: ", ")
            throw CommandFailure("Not all inputs of the model are given: add --input NAME=FILE.npy for \(list).")
        }
        var inputs: [String: Tensor] = [:]
        for (name, array) in arrays {
            let declared = session.inputs.first { $0.name == name }
            inputs[name] = try array.tensor(declaredAs: declared?.type)
        }
        let values: [Value]
        do {
            if let profiling { profiling.didPlan(try session.prepare(inputs)) }
            values = try session.run(values: inputs.mapValues { .tensor($0) }, observer: profiling?.profile)
        } catch {
            throw CommandFailure("\(model) failed: \(error).")
        }
        return (values, try profiling?.file(inputs: inputs, threads: pool))
    }

    private func report(_ outputs: [Output]) throws {
        if json { return try StandardStreams.printJSON(["outputs": outputs]) }
        guard !quiet else { return }
        for output in outputs {
            try StandardStreams.printOutput("\(output.name): \(output.type)\(output.shape) in \(output.file)")
        }
    }
}
