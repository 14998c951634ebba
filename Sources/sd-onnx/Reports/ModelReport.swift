import Foundation
import GraphRuntime
import ONNXLoader
import Ops

/// What a model file states. Written as JSON with keys in snake case.
struct ModelReport: Encodable {
    struct Value: Encodable {
        let name: String
        /// `float32[batch_size, 4, height, width]`; nil where the file states none.
        let type: String?
        /// Whether a run may leave it out.
        let hasDefault: Bool
    }

    struct Opset: Encodable {
        /// `ai.onnx` for ONNX's own operators.
        let domain: String
        let version: Int
    }

    struct Storage: Encodable {
        let type: String
        let parameters: Int
        let bytes: Int
    }

    struct Count: Encodable {
        let `operator`: String
        let count: Int
    }

    /// A file of external data that couldn't be read.
    struct Missing: Encodable {
        let location: String
        let reason: String
        let tensors: Int
        let bytes: Int
    }

    let component: String?
    let path: String
    let producer: String
    let irVersion: Int
    let graph: String
    let opsets: [Opset]
    let inputs: [Value]
    let outputs: [Value]
    let nodeCount: Int
    let parameters: Int
    let weightBytes: Int
    let storage: [Storage]
    let operators: [Count]
    /// Operators, with versions, that this runtime doesn't have.
    let missing: [String]
    /// How many nodes have each of them.
    let missingCounts: [Int]
    /// What helps where operators are missing.
    let missingAdvice: String?
    /// Files whose values aren't known; types and shapes are.
    let missingData: [Missing]
    let metadata: [String: String]
    private let missingText: String

    private enum CodingKeys: String, CodingKey {
        case component, path, producer, irVersion, graph, opsets, inputs, outputs, nodeCount, parameters, weightBytes, storage
        case operators, missing, missingCounts, missingAdvice, missingData, metadata
    }

    init(_ model: ONNXModel, path: String, component: String? = nil) {
        self.component = component
        self.path = path
        producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " ")
        irVersion = model.irVersion
        graph = model.graph.name
        opsets = model.opsetImports.sorted { $0.key < $1.key }
            .map { Opset(domain: $0.key.isEmpty ? "ai.onnx" : $0.key, version: $0.value) }
        func value(_ id: ValueID) -> Value {
            let declaration = model.graph.values[id]
            return Value(
                name: declaration.name, type: declaration.type.map { "\($0)" }, hasDefault: model.graph.initializers[id] != nil)
        }
        inputs = model.graph.inputs.map(value)
        outputs = model.graph.outputs.map(value)
        let summary = model.summary
        nodeCount = summary.nodeCount
        parameters = summary.parameterCount
        weightBytes = summary.weightBytes
        storage = summary.bytesByType.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }
            .map { Storage(type: $0.key.description, parameters: summary.parametersByType[$0.key] ?? 0, bytes: $0.value) }
        operators = summary.operatorCounts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { Count(operator: $0.key, count: $0.value) }
        let absent = MissingOperators(model)
        (missing, missingCounts, missingAdvice, missingText) = (absent.names, absent.counts, absent.advice, absent.text)
        missingData = model.missingData.map {
            Missing(location: $0.location, reason: $0.reason, tensors: $0.tensorCount, bytes: $0.byteCount)
        }
        metadata = model.metadata
    }

    /// What isn't known of the model for want of its external data, in one sentence without a full stop; nil where all is there.
    var gap: String? {
        guard let first = missingData.first else { return nil }
        let tensors = missingData.reduce(0) { $0 + $1.tensors }
        let bytes = missingData.reduce(0) { $0 + $1.bytes }
        let others = missingData.count - 1
        return first.reason
            + (others == 0 ? "" : ", and \(others) other \(others == 1 ? "file" : "files") can't be read either")
            + ": of \(tensors) \(tensors == 1 ? "tensor" : "tensors") (\(ByteText.of(bytes))) types and shapes are known, values aren't"
    }

    var text: String {
        var lines = [path]
        func add(_ title: String, _ content: String) {
            lines.append(title.padding(toLength: 12, withPad: " ", startingAt: 0) + content)
        }
        add("producer", "\(producer.isEmpty ? "not stated" : producer), IR version \(irVersion)")
        add("opsets", opsets.map { "\($0.domain) \($0.version)" }.joined(separator: ", "))
        for (title, values) in [("input", inputs), ("output", outputs)] {
            for value in values {
                add(
                    title,
                    "\(value.name): \(value.type ?? "type not stated")"
                        + (value.hasDefault && title == "input" ? ", has a default" : ""))
            }
        }
        let types = storage.map { "\($0.type) \($0.parameters) (\(ByteText.of($0.bytes)))" }.joined(separator: ", ")
        add("parameters", "\(parameters) in \(ByteText.of(weightBytes))" + (types.isEmpty ? "" : ": \(types)"))
        add("nodes", "\(nodeCount)")
        add("operators", operators.map { "\($0.operator) \($0.count)" }.joined(separator: ", "))
        add("missing", missingText)
        if let gap { add("data", gap) }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { add("metadata", "\(key): \(value.prefix(200))") }
        return lines.joined(separator: "\n")
    }
}

/// The components of a pipeline's folder.
struct FolderReport: Encodable {
    let path: String
    let pipeline: String
    let components: [ModelReport]

    var text: String {
        let bytes = components.reduce(0) { $0 + $1.weightBytes }
        let parameters = components.reduce(0) { $0 + $1.parameters }
        return "\(path): \(pipeline), \(components.count) graphs, \(parameters) parameters in \(ByteText.of(bytes))\n\n"
            + components.map(\.text).joined(separator: "\n\n")
    }
}

/// Bytes as a person reads them, by powers of 1000.
enum ByteText {
    static func of(_ count: Int) -> String {
        var value = Double(count)
        for unit in ["bytes", "kB", "MB"] {
            if value < 1000 { return unit == "bytes" ? "\(count) bytes" : String(format: "%.1f %@", value, unit) }
            value /= 1000
        }
        return String(format: "%.2f GB", value)
    }
}
