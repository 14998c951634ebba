/// The attributes of a node as the file states them; operators read them once through a ``NodeDecoder``.
public struct NodeAttributes: Sendable {
    public private(set) var names: [String] = []
    private var values: [String: AttributeValue] = [:]

    public init() {}

    public init(_ attributes: KeyValuePairs<String, AttributeValue>) {
        for (name, value) in attributes { self[name] = value }
    }

    public subscript(name: String) -> AttributeValue? {
        get { values[name] }
        set {
            if values[name] == nil, newValue != nil { names.append(name) }
            if newValue == nil { names.removeAll { $0 == name } }
            values[name] = newValue
        }
    }

    /// The graphs among the attributes, in the attributes' order: the order of ``Node/captures``.
    public var graphs: [(attribute: String, graph: Graph)] {
        names.flatMap { name -> [(attribute: String, graph: Graph)] in
            switch values[name] {
            case .graph(let graph): [(name, graph)]
            case .graphs(let graphs): graphs.map { (name, $0) }
            default: []
            }
        }
    }
}

/// The value of an attribute (ONNX AttributeProto).
public indirect enum AttributeValue: Sendable {
    case int(Int64)
    case float(Float)
    case string(String)
    case tensor(Tensor)
    case graph(Graph)
    case type(ValueType)
    case ints([Int64])
    case floats([Float])
    case strings([String])
    case tensors([Tensor])
    case graphs([Graph])
    case types([ValueType])

    var kind: String {
        switch self {
        case .int: "an integer"
        case .float: "a float"
        case .string: "a string"
        case .tensor: "a tensor"
        case .graph: "a graph"
        case .type: "a type"
        case .ints: "integers"
        case .floats: "floats"
        case .strings: "strings"
        case .tensors: "tensors"
        case .graphs: "graphs"
        case .types: "types"
        }
    }
}
