import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import SDPipeline

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs any ONNX model on values from files.",
        discussion: """
            Inputs are .npy arrays, .npz archives of them, and .pb files, which hold a tensor, sequence or optional as ONNX's test cases \
            have them. Each output is written as NAME.npy or NAME.pb, or all of them as outputs.npz; characters of a name that can't be in \
            a file name become _. bfloat16, which numpy lacks, is written as float32, and read from uint16 bit patterns; .pb files keep it.

            EXAMPLES:
              sd-onnx run vae_decoder/model.onnx -i latent_sample=x.npy --output-dir results
              sd-onnx run model.onnx -i inputs.npz --output-dir results --output-format npz
              sd-onnx run model.onnx --random-inputs 7 --shape x=1,3,224,224 --output-dir results
            """)

    @Argument(help: "The model.", transform: OptionValues.path)
    var model: String

    @Option(
        name: [.short, .long], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            """
            The value for an input, from a .npy, .npz or .pb file; one of these for each input. A .npz file without NAME= is all of its \
            arrays by their names.
            """, valueName: "NAME=FILE.npy"),
        transform: OptionValues.namedFileOrArchive)
    var input: [NamedFile] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The folder for the outputs; it is made where it is missing.", valueName: "DIR"),
        transform: OptionValues.path)
    var outputDir: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What the outputs are written as: npy; npz, one archive of all; pb, also for strings, sequences and optionals.",
            valueName: "npy|npz|pb"),
        transform: OptionValues.choice)
    var outputFormat = ValueFormat.npy

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Make up the inputs that aren't given: normal numbers, integers of 8 and 16 bits in their whole range, others 0 or 1, words.
            """, valueName: "SEED"),
        transform: OptionValues.seed)
    var randomInputs: Seed?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("The shape of a random input.", valueName: "NAME=2,4,64,64"),
        transform: OptionValues.namedShape)
    var shape: [NamedShape] = []

    @Flag(help: "Run the graph node by node as it is in the file, to find out where a difference comes from.")
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

    /// One output, or an input that was made up.
    private struct Described: Encodable {
        let name: String
        /// The file of an output.
        let file: String?
        /// The type that the model answers.
        let type: String
        /// Of a tensor.
        let shape: [Int]?
        /// Of a sequence, those of its tensors.
        let shapes: [[Int]]?
        /// Of a map, or of a sequence of maps, what they hold.
        let maps: [[String: MapElement]]?

        init(_ name: String, _ value: Value, file: String? = nil) {
            self.name = name
            self.file = file
            switch value {
            case .tensor(let tensor): (type, shape, shapes, maps) = ("\(tensor.dtype)", tensor.shape.dimensions, nil, nil)
            case .sequence(let tensors):
                let types = Set(tensors.map { "\($0.dtype)" }).sorted().joined(separator: " and ")
                type = types.isEmpty ? "an empty sequence" : "a sequence of \(types)"
                (shape, shapes, maps) = (nil, tensors.map(\.shape.dimensions), nil)
            case .map(let map): (type, shape, shapes, maps) = (map.kind, nil, nil, [MapElement.content(of: map)])
            case .maps(let list):
                let kinds = Set(list.map { "maps from \($0.keys.dtype) to \($0.values.dtype)" }).sorted()
                type = kinds.isEmpty ? "an empty sequence" : "a sequence of \(kinds.joined(separator: " and "))"
                (shape, shapes, maps) = (nil, nil, list.map(MapElement.content))
            case .empty: (type, shape, shapes, maps) = ("an empty optional", nil, nil, nil)
            }
        }

        var text: String {
            let list = shapes.map { $0.map { "\($0)" }.joined(separator: ", ") } ?? ""
            let sizes = maps.map { $0.count == 1 ? "" : ", \($0.count) maps" } ?? ""
            return "\(type)\(shape.map { "\($0)" } ?? "")\(list.isEmpty ? "" : " of shapes \(list)")\(sizes)"
        }
    }

    private struct Report: Encodable {
        let outputs: [Described]
        /// Nil without --random-inputs.
        let randomInputs: [Described]?
        let seed: UInt64?
    }

    func validate() throws {
        if let name = input.map(\.name).filter({ !$0.isEmpty }).firstDuplicate {
            throw ValidationError("The input \"\(name)\" is given twice.")
        }
        if profile == "" || profile == "-" {
            throw ValidationError("--profile is \(profile == "-" ? "-" : "empty"), expected a file's name.")
        }
        try OutputFormat.json.check(profile, option: "--profile")
        try numbers.check(noOptimize: noOptimize, memory: memory)
        if !shape.isEmpty, randomInputs == nil {
            throw ValidationError("--shape is for inputs that are made up: add --random-inputs.")
        }
        if let name = (shape.map(\.name) + input.map(\.name)).firstDuplicate {
            throw ValidationError("The input \"\(name)\" is given twice.")
        }
        if outputDir.isEmpty { throw ValidationError("--output-dir is empty, expected a folder's name.") }
    }

    func run() throws {
        let folder = OutputFolder(outputDir)
        try folder.check()
        let files = try InputFile.read(input)
        let profiling = try profile.map { try ProfiledRun(file: $0, precision: numbers.precision) }
        let pool = try threads.makePool()
        let session = try Session(
            modelFile: model, optimize: !noOptimize, pool: pool, memory: memory, numbers: numbers)
        profiling?.didLoad()
        if outputFormat != .pb { try checkOutputs(session) }
        let targets = targets(session, in: folder)
        if let profile {
            let file = URL(fileURLWithPath: profile).resolvingSymlinksInPath()
            guard !([folder.url] + targets).map({ $0.resolvingSymlinksInPath().path }).contains(file.path) else {
                throw CommandFailure("--profile names \(file.path), where an output goes: give it a file of its own.")
            }
        }
        if folder.exists { try AtomicFile.check(targets) }
        let inputs = try inputs(of: session, files)
        let (values, profileFile) = try run(session, inputs.values, profiling, pool)
        let contents = try contents(session.outputs, values)
        try Interruption.whileWriting {
            try folder.make()
            try AtomicFile.write(zip(contents, targets).map { ($0, $1) } + (profileFile.map { [$0] } ?? []))
        }
        let outputs = zip(session.outputs, values).enumerated().map { index, output in
            Described(output.0.name, output.1, file: targets[targets.count == 1 ? 0 : index].path)
        }
        try report(outputs, inputs.madeUp.compactMap { name in inputs.values[name].map { Described(name, $0) } })
    }

    private func targets(_ session: Session, in folder: OutputFolder) -> [URL] {
        if outputFormat == .npz { return [folder.url.appendingPathComponent("outputs.npz")] }
        return OutputNames.fileNames(for: session.outputs.map(\.name)).map {
            folder.url.appendingPathComponent("\($0).\(outputFormat.rawValue)")
        }
    }

    /// What the files hold, one for each target.
    private func contents(_ declarations: [ValueDeclaration], _ values: [Value]) throws -> [[UInt8]] {
        if outputFormat == .pb {
            return try zip(declarations, values).map { try ValueEncoding.message($1, name: $0.name, as: $0.type) }
        }
        let arrays = try zip(declarations, values).map { declaration, value in
            guard case .tensor(let tensor) = value else { throw unwritable(declaration.name, value.kind) }
            return try NPYArray(tensor, name: declaration.name)
        }
        guard outputFormat == .npz else { return arrays.map(\.bytes) }
        // As the files would be named: who unpacks an archive writes files, too.
        let names = OutputNames.fileNames(for: declarations.map(\.name))
        return [try NPZArchive.encoded(zip(names, arrays).map { ($0, $1) })]
    }

    /// Refuses models whose outputs no .npy file can hold before they run.
    private func checkOutputs(_ session: Session) throws {
        for output in session.outputs {
            switch output.type {
            case .sequence, .map, .sparseTensor: throw unwritable(output.name, output.type.map { "a \($0)" } ?? "")
            case .tensor(.string, _): throw unwritable(output.name, "a tensor of strings")
            // An optional may hold a tensor; that shows when it has run.
            case .tensor, .optional, nil: break
            }
        }
    }

    private func unwritable(_ name: String, _ kind: String) -> CommandFailure {
        CommandFailure(
            "The output \"\(name)\" is \(kind), which a .\(outputFormat.rawValue) file can't hold; expected a tensor of numbers: "
                + "add --output-format pb.")
    }

    private func inputs(of session: Session, _ files: [InputFile]) throws -> (values: [String: Value], madeUp: [String]) {
        if let seed = randomInputs?.value {
            let inputs = try ModelInputs(
                session: session, .init(shapes: shape, files: files, seed: seed, limits: memory.limits))
            return (inputs.values, inputs.madeUp)
        }
        let given = Set(files.map(\.name))
        let missing = session.inputs.filter { !given.contains($0.name) }
        guard missing.isEmpty else {
            let list = missing.map { "\"\($0.name)\"" + ($0.type.map { " (\($0))" } ?? "") }.joined(separator: ", ")
            throw CommandFailure("Not all inputs of the model are given: add --input NAME=FILE.npy for \(list).")
        }
        var values: [String: Value] = [:]
        for file in files {
            let declared = session.inputs.first { $0.name == file.name }
            values[file.name] = try file.value(declaredAs: declared?.type, limits: memory.limits)
        }
        return (values, [])
    }

    private func run(
        _ session: Session, _ inputs: [String: Value], _ profiling: ProfiledRun?, _ pool: ThreadPool
    ) throws -> (values: [Value], profile: OutputFile?) {
        let tensors = inputs.compactMapValues(\.tensor)
        let values: [Value]
        do {
            // A plan is made ahead for tensors alone; with other values it is made in the run.
            if let profiling, tensors.count == inputs.count { profiling.didPlan(try session.prepare(tensors)) }
            values = try session.run(values: inputs, observer: profiling?.profile)
        } catch {
            throw CommandFailure("\(model) failed: \(error).")
        }
        return (values, try profiling?.file(inputs: tensors, threads: pool))
    }

    private func report(_ outputs: [Described], _ madeUp: [Described]) throws {
        if json {
            return try StandardStreams.printJSON(
                Report(outputs: outputs, randomInputs: randomInputs == nil ? nil : madeUp, seed: randomInputs?.value))
        }
        guard !quiet else { return }
        for input in madeUp {
            try StandardStreams.printOutput(
                "The input \(input.name) is random: \(input.text) of seed \(randomInputs?.value ?? 0)")
        }
        for output in outputs {
            try StandardStreams.printOutput("\(output.name): \(output.text) in \(output.file ?? "")")
        }
    }
}
