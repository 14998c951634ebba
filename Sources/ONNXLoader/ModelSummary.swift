import GraphRuntime

/// What a model consists of, graphs of attributes included.
public struct ModelSummary: Sendable, Equatable {
    /// Nodes, those in attributes' graphs included.
    public var nodeCount = 0
    /// Tensors that the file states as values.
    public var initializerCount = 0
    /// Numbers in all initializers.
    public var parameterCount = 0
    /// Bytes of all initializers and of tensors among the attributes.
    public var weightBytes = 0
    /// How often each operator occurs in the model, by name with its domain in front where it isn't ONNX's own.
    public var operatorCounts: [String: Int] = [:]

    /// Numbers in initializers by type.
    public var parametersByType: [DType: Int] = [:]
    /// Bytes of initializers by type.
    public var bytesByType: [DType: Int] = [:]

    /// Counts what is in a graph and in the graphs of its nodes' attributes.
    public init(_ graph: Graph) { add(graph) }

    private mutating func add(_ graph: Graph) {
        nodeCount += graph.nodes.count
        initializerCount += graph.initializers.count
        for tensor in graph.initializers.values {
            parameterCount += tensor.count
            weightBytes += tensor.byteCount
            parametersByType[tensor.dtype, default: 0] += tensor.count
            bytesByType[tensor.dtype, default: 0] += tensor.byteCount
        }
        for node in graph.nodes {
            let identity = node.identity
            operatorCounts[identity.domain.isEmpty ? identity.type : "\(identity.domain).\(identity.type)", default: 0] += 1
            for name in node.attributes.names {
                switch node.attributes[name] {
                case .tensor(let tensor): weightBytes += tensor.byteCount
                case .tensors(let tensors): weightBytes += tensors.reduce(0) { $0 + $1.byteCount }
                default: break
                }
            }
            for (_, inner) in node.attributes.graphs { add(inner) }
        }
    }
}

extension ONNXModel {
    /// What the model consists of.
    public var summary: ModelSummary { ModelSummary(graph) }
}
