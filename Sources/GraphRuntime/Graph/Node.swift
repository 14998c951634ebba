/// One use of an operator in a graph.
public struct Node: Sendable {
    /// The file's name of the node, such as `/down_blocks.0/resnets.0/conv1/Conv`; empty where it has none.
    public var name: String
    /// Which operator it uses.
    public var identity: OperatorIdentity
    /// Nil stands for an optional input that isn't given.
    public var inputs: [ValueID?]
    /// Nil stands for an optional output that nobody asked for.
    public var outputs: [ValueID?]
    /// The outer values that the graphs among the attributes capture: those of the first graph in the order of its
    /// ``Graph/captures``, then those of the next, with graphs ordered as ``NodeAttributes/graphs``.
    public var captures: [ValueID]
    /// What the file states beside inputs and outputs.
    public var attributes: NodeAttributes
    /// The modules around the node, outermost first, where the file states them beside the name (torch.onnx with dynamo does).
    public var scopes: [String] = []
    /// What the node stands for, where a fusion made it.
    public var fusion: FusionOrigin?
    /// The operator with its attributes decoded; set by ``OperatorRegistry/resolve(_:halfRounding:)`` or by the fusion that made the node.
    public var operation: (any Operator)?
    /// Whether 16-bit floats that it reads count as float32, so that its results aren't rounded to 16 bits, see ``HalfRounding``.
    var widensHalves = false

    /// A node without scopes that no fusion made; each parameter is the property of its name.
    public init(
        name: String, identity: OperatorIdentity, inputs: [ValueID?], outputs: [ValueID?], captures: [ValueID] = [],
        attributes: NodeAttributes = NodeAttributes(), operation: (any Operator)? = nil
    ) {
        self.name = name
        self.identity = identity
        self.inputs = inputs
        self.outputs = outputs
        self.captures = captures
        self.attributes = attributes
        self.operation = operation
    }

    /// Every value that the node reads, captured ones included.
    public var reads: [ValueID] { inputs.compactMap { $0 } + captures }

    /// For messages: `Conv-11 "/conv_in/Conv"`.
    public var title: String {
        let type = "\(identity)".shortened(to: String.longestName)
        return name.isEmpty ? type : "\(type) \"\(name.shortened(to: String.longestName))\""
    }
}

/// Which operator is meant: a name in a domain, at the version of the operator set that the model imports.
public struct OperatorIdentity: Sendable, Hashable, CustomStringConvertible {
    /// `""` for ONNX's own operators (`ai.onnx` is written so), `com.microsoft` and the like for others, and
    /// ``fusionDomain`` for those that fusions put in.
    public var domain: String
    /// The operator's name, such as `Conv`.
    public var type: String
    /// The opset version that holds at the node.
    public var version: Int

    /// The domain of the operators that no file contains.
    public static let fusionDomain = "sd-onnx"

    /// An operator; the domain `ai.onnx` becomes `""`.
    public init(domain: String = "", type: String, version: Int) {
        self.domain = domain == "ai.onnx" ? "" : domain
        self.type = type
        self.version = version
    }

    public var description: String { (domain.isEmpty ? "" : domain + ".") + "\(type)-\(version)" }
}

/// Where a fused node comes from.
public struct FusionOrigin: Sendable, Hashable {
    /// ``Fusion/name``.
    public var fusion: String
    /// The titles of the nodes that it replaces, in the graph's order; fused nodes among them are their own origin's.
    public var nodes: [String]

    /// The origin of a node that `fusion` made of `nodes`.
    public init(fusion: String, nodes: [String]) {
        self.fusion = fusion
        self.nodes = nodes
    }
}

extension Node {
    /// What the node's operator, or another form of it, says of the outputs.
    func inferOutputs(_ operation: any Operator, _ inputs: [Fact?]) throws -> [Fact] {
        let inputs = InferenceInputs(inputs, outputCount: outputs.count)
        return try operation.inferOutputs(widensHalves ? inputs.widened : inputs)
    }
}
