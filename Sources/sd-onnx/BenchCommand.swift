import ArgumentParser
import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Times an ONNX model and each of its operator types.",
        discussion: "sd-onnx bench unet/model.onnx --shape sample=2,4,64,64 --shape encoder_hidden_states=2,77,768")

    @Argument(help: "The model.")
    var model: String

    @Option(help: ArgumentHelp("The shape of an input; symbolic extents that aren't given are 1.", valueName: "NAME=2,4,64,64"))
    var shape: [NamedText] = []

    @Option(help: "Timed runs.")
    var iterations = 5

    @Option(help: "Runs before those.")
    var warmup = 1

    @OptionGroup var threads: ThreadOptions

    @Flag(help: "Run the graph node by node as it stands in the file.")
    var noOptimize = false

    @Option(help: ArgumentHelp("Write the figures as JSON.", valueName: "FILE"))
    var json: String?

    func validate() throws {
        guard (1...1_000_000).contains(iterations) else { throw ValidationError("--iterations is \(iterations), expected 1 or more.") }
        guard (0...1_000_000).contains(warmup) else { throw ValidationError("--warmup is \(warmup), expected 0 or more.") }
    }

    func run() throws {
        Interruption.install()
        let clock = ContinuousClock()
        let start = clock.now
        let session = try Session(
            graph: ONNXModel(contentsOf: URL(fileURLWithPath: model)).graph, library: StandardOperators.library,
            options: SessionOptions(optimize: !noOptimize, threads: try threads.makePool()))
        let inputs = try BenchInputs(session: session, shapes: shape).tensors
        try session.prepare(inputs)
        let loadSeconds = (clock.now - start).seconds

        for _ in 0..<warmup { _ = try session.run(inputs) }
        var seconds: [Double] = []
        let profile = OperatorProfile()
        for _ in 0..<iterations {
            let begin = clock.now
            _ = try session.run(inputs, observer: profile)
            seconds.append((clock.now - begin).seconds)
        }
        let report = BenchReport(seconds: seconds, loadSeconds: loadSeconds, profile: profile)
        print(report.table)
        if let json {
            let data = try StandardStreams.json(report)
            try Interruption.whileWriting { try AtomicFile.write([UInt8](data), to: URL(fileURLWithPath: json)) }
        }
    }
}

/// Inputs made from a model's declarations: pseudo-random numbers for floats, ones for integers and true for booleans.
private struct BenchInputs {
    let tensors: [String: Tensor]

    init(session: Session, shapes: [NamedText]) throws {
        var stated: [String: [Int]] = [:]
        for shape in shapes {
            guard session.inputs.contains(where: { $0.name == shape.name }) else {
                let known = session.inputs.map(\.name).joined(separator: ", ")
                throw ValidationError("--shape names \(shape.name), which the model doesn't have; its inputs are \(known).")
            }
            let extents = shape.text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            let dimensions = extents.compactMap { $0 }
            guard dimensions.count == extents.count, dimensions.allSatisfy({ $0 >= 0 }) else {
                throw ValidationError("--shape \(shape.name)=\(shape.text) isn't a list of extents such as 2,4,64,64.")
            }
            stated[shape.name] = dimensions
        }
        var tensors: [String: Tensor] = [:]
        for input in session.inputs {
            guard case .tensor(let dtype, let dimensions)? = input.type, let dimensions else {
                throw ValidationError("The input \(input.name) has no declared shape of a tensor, so none can be made for it.")
            }
            let extents = stated[input.name] ?? dimensions.map { if case .fixed(let extent) = $0 { extent } else { 1 } }
            tensors[input.name] = try Self.tensor(dtype, shape: Shape(extents), name: input.name)
            if stated[input.name] == nil, dimensions.contains(where: { if case .fixed = $0 { false } else { true } }) {
                StandardStreams.printError("\(input.name) is declared as \(dimensions); taken as \(extents).")
            }
        }
        self.tensors = tensors
    }

    private static func tensor(_ dtype: DType, shape: Shape, name: String) throws -> Tensor {
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
        default: throw ValidationError("The input \(name) is of type \(dtype), which bench can't make up; use run.")
        }
    }
}

/// What a benchmark measured.
private struct BenchReport: Encodable {
    let medianMs: Double
    let meanMs: Double
    let loadMs: Double
    let peakBytes: Int
    let iterations: Int
    let operators: [Row]

    struct Row: Encodable {
        let type: String
        /// Calls in one run.
        let calls: Int
        /// Milliseconds in one run.
        let totalMs: Double
        /// Of the time of all operators, 0 to 1.
        let share: Double
        let gflops: Double

        enum CodingKeys: String, CodingKey {
            case type, calls, share, gflops
            case totalMs = "total_ms"
        }
    }

    enum CodingKeys: String, CodingKey {
        case iterations, operators
        case medianMs = "median_ms"
        case meanMs = "mean_ms"
        case loadMs = "load_ms"
        case peakBytes = "peak_bytes"
    }

    init(seconds: [Double], loadSeconds: Double, profile: OperatorProfile) {
        let sorted = seconds.sorted()
        let middle = sorted.count / 2
        medianMs = 1000 * (sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2)
        meanMs = 1000 * seconds.reduce(0, +) / Double(seconds.count)
        loadMs = 1000 * loadSeconds
        peakBytes = TensorStorage.peakBytes
        let runs = seconds.count
        iterations = runs
        let all = max(profile.rows.reduce(0) { $0 + $1.nanoseconds }, 1)
        operators = profile.rows.map { row in
            Row(
                type: row.type, calls: row.calls / runs, totalMs: Double(row.nanoseconds) / 1e6 / Double(runs),
                share: Double(row.nanoseconds) / Double(all),
                gflops: row.nanoseconds > 0 ? row.cost.flops / Double(row.nanoseconds) : 0)
        }
    }

    var table: String {
        let width = max(operators.map(\.type.count).max() ?? 0, 8)
        func padded(_ text: String) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
        var lines = [padded("operator") + "   calls   total ms   share   GFLOP/s"]
        for row in operators {
            let rate = row.gflops > 0 ? String(format: "%9.1f", row.gflops) : "        -"
            lines.append(padded(row.type) + String(format: "%8d%11.3f%7.1f%%", row.calls, row.totalMs, 100 * row.share) + " " + rate)
        }
        lines.append(
            String(
                format: "median %.3f ms, mean %.3f ms over %d runs; load %.1f ms; peak of tensors %.1f MB", medianMs, meanMs,
                iterations, loadMs, Double(peakBytes) / 1e6))
        return lines.joined(separator: "\n")
    }
}
