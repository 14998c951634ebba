import ArgumentParser
import Foundation
import GraphRuntime
import SDPipeline

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Times an ONNX model and each of its operator types.",
        discussion: """
            Inputs are pseudo-random numbers (ones where they are integers).

            EXAMPLE:
              sd-onnx bench vae_decoder/model.onnx --shape latent_sample=1,4,64,64
            """)

    @Argument(help: "The model.")
    var model: String

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "The shape of an input. Without it the declared one is taken, with 1 for what is symbolic.",
            valueName: "NAME=2,4,64,64"),
        transform: OptionValues.namedShape)
    var shape: [NamedShape] = []

    @Option(parsing: .unconditional, help: "Timed runs. (default: 5)", transform: OptionValues.whole(1...1_000_000))
    var iterations = 5

    @Option(parsing: .unconditional, help: "Runs before those. (default: 1)", transform: OptionValues.whole(0...1_000_000))
    var warmup = 1

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @Flag(help: "Run the graph node by node as it stands in the file.")
    var noOptimize = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Write the figures as JSON; - prints them on standard output in the place of the table.", valueName: "FILE"))
    var json: String?

    func validate() throws {
        if let name = shape.map(\.name).firstDuplicate { throw ValidationError("The shape of \"\(name)\" is given twice.") }
        if json == "" { throw ValidationError("--json is empty, expected a file's name.") }
    }

    func run() throws {
        Interruption.install()
        let file = json.flatMap { $0 == "-" ? nil : URL(fileURLWithPath: $0) }
        if let file { try AtomicFile.check(file) }
        let clock = ContinuousClock()
        let start = clock.now
        let session = try Session(modelFile: model, optimize: !noOptimize, threads: threads, memory: memory)
        let inputs = try BenchInputs(session: session, shapes: shape)
        let report: BenchReport
        do {
            try session.prepare(inputs.tensors)
            let loadSeconds = (clock.now - start).seconds
            report = try measure(session, inputs.tensors.mapValues { .tensor($0) }, loadSeconds: loadSeconds)
        } catch {
            throw CommandFailure("\(model) failed: \(error).")
        }
        if json == "-" {
            try StandardStreams.printJSON(report)
        } else {
            try StandardStreams.printOutput(report.table)
        }
        if let file {
            let content = try StandardStreams.json(report)
            try Interruption.whileWriting { try AtomicFile.write(content, to: file) }
        }
    }

    private func measure(_ session: Session, _ inputs: [String: Value], loadSeconds: Double) throws -> BenchReport {
        let clock = ContinuousClock()
        for _ in 0..<warmup { _ = try session.run(values: inputs) }
        var seconds: [Double] = []
        let profile = OperatorProfile()
        for _ in 0..<iterations {
            let begin = clock.now
            _ = try session.run(values: inputs, observer: profile)
            seconds.append((clock.now - begin).seconds)
        }
        return BenchReport(seconds: seconds, loadSeconds: loadSeconds, profile: profile)
    }
}

/// Inputs made from a model's declarations: pseudo-random numbers for floats, ones for integers and true for booleans.
private struct BenchInputs {
    let tensors: [String: Tensor]

    init(session: Session, shapes: [NamedShape]) throws {
        let stated = Dictionary(shapes.map { ($0.name, $0.extents) }, uniquingKeysWith: { first, _ in first })
        if let name = shapes.map(\.name).first(where: { name in !session.inputs.contains { $0.name == name } }) {
            let known = session.inputs.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw CommandFailure("--shape names \"\(name)\", which the model doesn't have; its inputs are \(known).")
        }
        var tensors: [String: Tensor] = [:]
        for input in session.inputs {
            guard case .tensor(let dtype, let dimensions)? = input.type else {
                throw CommandFailure("The input \"\(input.name)\" is no tensor, so bench can't make it up; use run.")
            }
            guard let extents = stated[input.name] ?? dimensions.map(Self.extents) else {
                throw CommandFailure("The input \"\(input.name)\" has no declared shape: add --shape \(input.name)=2,4,64,64.")
            }
            if stated[input.name] == nil, let dimensions, extents.count != dimensions.compactMap(Self.fixed).count {
                StandardStreams.printError("The input \"\(input.name)\" is declared as \(dimensions) and taken as \(extents).")
            }
            tensors[input.name] = try Self.tensor(dtype, shape: Shape(extents), name: input.name)
        }
        self.tensors = tensors
    }

    private static func fixed(_ dimension: GraphRuntime.Dimension) -> Int? {
        if case .fixed(let extent) = dimension { extent } else { nil }
    }

    private static func extents(_ dimensions: [GraphRuntime.Dimension]) -> [Int] { dimensions.map { fixed($0) ?? 1 } }

    private static func tensor(_ dtype: DType, shape: Shape, name: String) throws -> Tensor {
        let bytes = Double(shape.count) * 8
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        guard bytes <= memory else {
            throw CommandFailure(
                String(
                    format: "The input \"%@\" of shape %@ takes about %.0f GB, and the machine has %.0f GB of memory.", name,
                    "\(shape)", bytes / 1e9, memory / 1e9))
        }
        var generator = TorchGenerator(seed: 0)
        switch dtype {
        case .float32: return try Tensor(generator.randn(count: shape.count), shape: shape)
        case .float64: return try Tensor(generator.randn(count: shape.count).map(Double.init), shape: shape)
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: shape)
            try HalfPrecision.narrow(Tensor(generator.randn(count: shape.count), shape: shape), into: result)
            return result.tensor
        case .int64: return try Tensor([Int64](repeating: 1, count: shape.count), shape: shape)
        case .int32: return try Tensor([Int32](repeating: 1, count: shape.count), shape: shape)
        case .bool: return try Tensor([Bool](repeating: true, count: shape.count), shape: shape)
        case .uint8: return try Tensor([UInt8](repeating: 1, count: shape.count), shape: shape)
        case .int8: return try Tensor([Int8](repeating: 1, count: shape.count), shape: shape)
        default: throw CommandFailure("The input \"\(name)\" is of type \(dtype), which bench can't make up; use run.")
        }
    }
}
