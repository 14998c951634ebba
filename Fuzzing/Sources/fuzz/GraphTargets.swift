import Foundation
import GraphRuntime
import ONNXLoader
import Ops

extension FuzzTarget {
    /// A model: read, folded, planned and run, once with the optimizer and once without.
    static let graph = FuzzTarget(name: "graph") { bytes in
        try runModel(ONNXModel(bytes: bytes).graph)
    }

    /// A model in a folder with the files that its external data may name, `w.bin` and `sub/w.bin`, and one that it may not.
    static let external = FuzzTarget(name: "external") { bytes in
        try ScratchFolder.fill([
            ("model.onnx", bytes), ("w.bin", [UInt8](0..<64)), ("sub/w.bin", [UInt8](repeating: 7, count: 8192)),
            (".hidden", [1, 2, 3, 4]),
        ])
        try runModel(ONNXModel(contentsOf: ScratchFolder.url.appending(path: "model.onnx")).graph)
    }

    /// A tensor, sequence or optional as ONNX's test cases have them, read as each of these.
    static let value = FuzzTarget(name: "value") { bytes in
        let sequence = ValueType.sequence(.tensor(.float32, nil))
        for type in [nil, sequence, .optional(.tensor(.float32, nil)), .optional(sequence)] {
            do { _ = try ONNXModel.value(bytes: bytes, as: type) } catch is LoadError {
                // What isn't one of these may be another.
            }
        }
    }

    private static let threads = ThreadPool(threadCount: 1)
    /// More elements than these in one input, and a graph isn't run: it would only be slow.
    private static let largestInput = 1 << 12

    private static func runModel(_ graph: Graph) throws {
        // What was loaded is well-formed; a later error of this kind is the loader's fault.
        do { try graph.validate() } catch { preconditionFailure("a loaded graph isn't valid: \(error)") }
        // A loop may run as long as its model says.
        guard !graph.nodes.contains(where: { $0.identity.type == "Loop" }) else { return }
        for optimize in [true, false] {
            let session = try Session(
                graph: graph, library: StandardOperators.library, options: SessionOptions(optimize: optimize, threads: threads))
            guard let inputs = try inputs(of: session) else { return }
            _ = try session.run(values: inputs)
        }
    }

    /// Zeros for every input, with 2 for an extent that isn't stated; nil where one is no tensor or large.
    private static func inputs(of session: Session) throws -> [String: Value]? {
        var inputs: [String: Value] = [:]
        for declaration in session.inputs {
            guard case .tensor(let dtype, let dimensions)? = declaration.type else { return nil }
            let shape = try Shape(
                (dimensions ?? []).map { dimension in
                    if case .fixed(let extent) = dimension { extent } else { 2 }
                })
            guard shape.count <= largestInput else { return nil }
            inputs[declaration.name] = .tensor(try zeros(dtype, shape))
        }
        return inputs
    }

    private static func zeros(_ dtype: DType, _ shape: Shape) throws -> Tensor {
        if dtype == .string { return try Tensor(strings: Array(repeating: "", count: shape.count), shape: shape) }
        let bytes = try Tensor([UInt8](repeating: 0, count: dtype.byteCount(of: shape.count) ?? 0))
        return try Tensor(dtype: dtype, shape: shape, storage: bytes.storage)
    }
}
