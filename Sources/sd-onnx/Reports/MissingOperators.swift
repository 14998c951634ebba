import GraphRuntime
import ONNXLoader
import Ops

/// The operators of a model that the runtime doesn't have.
struct MissingOperators {
    /// Operators with their versions, in alphabetical order.
    let names: [String]
    /// How many nodes have each, in the order of the names.
    let counts: [Int]
    /// What helps, in one sentence without a full stop; nil where nothing is known that does.
    let advice: String?

    init(_ model: ONNXModel) {
        names = StandardOperators.library.registry.missingOperators(in: model.graph)
        var found: [String: Int] = [:]
        if !names.isEmpty { Self.count(model.graph, into: &found) }
        // A name may go on with the newest opset that is known.
        counts = names.map { name in found[String(name.prefix { $0 != " " })] ?? 0 }
        advice = names.isEmpty ? nil : Self.advice(names, model)
    }

    var text: String {
        guard !names.isEmpty else { return "nothing" }
        let list = zip(names, counts).map { $1 == 1 ? $0 : "\($0) in \($1) nodes" }.joined(separator: ", ")
        return list + (advice.map { ": \($0)" } ?? "")
    }

    private static func count(_ graph: Graph, into counts: inout [String: Int]) {
        for node in graph.nodes {
            counts["\(node.identity)", default: 0] += 1
            for (_, inner) in node.attributes.graphs { count(inner, into: &counts) }
        }
    }

    private static func advice(_ names: [String], _ model: ONNXModel) -> String? {
        func has(_ prefix: String) -> Bool { names.contains { $0.hasPrefix(prefix) } }
        if has("com.microsoft.nchwc.") {
            return
                "ONNX Runtime's optimiser wrote them for one processor; save the model at the level ORT_ENABLE_EXTENDED or below"
        }
        if has("com.ms.internal.") {
            return "ONNX Runtime's optimiser wrote them for one device; save the model at the level ORT_ENABLE_BASIC"
        }
        if has("com.microsoft.") {
            return
                "ONNX Runtime's or Olive's optimiser wrote them; export the model anew, or optimise it with those fusions disabled, "
                + "or at the level ORT_ENABLE_BASIC"
        }
        if has("ai.onnx.contrib.") {
            return
                "they are of onnxruntime-extensions, which reads and writes texts and pictures; export the model without its pre- and "
                + "post-processing"
        }
        if has("org.pytorch.aten.") || has("aten.") {
            return
                "the exporter had no form of ONNX for them; export with a newer opset, or with torch.onnx.export(…, dynamo=True)"
        }
        if has("ai.onnx.preview.training.") { return "they train a model; export it for inference" }
        if names.contains(where: { $0.contains("is the newest known") }) {
            return "export with an opset of \(StandardOperators.newestOpset) or below"
        }
        if names.contains(where: { $0.contains(".") }) {
            return
                "they are of a domain of their own; a program that uses the library can add them (docs/adding-an-operator.md)"
        }
        return nil
    }
}
