/// The attributes of a node as the file states them; operators read them once through a ``NodeDecoder``.
public struct NodeAttributes: Sendable {
    /// The names, in the order of the file.
    public private(set) var names: [String] = []
    private var values: [String: AttributeValue] = [:]

    /// No attributes.
    public init() {}

    /// Attributes in the given order; of two with one name the later counts.
    public init(_ attributes: KeyValuePairs<String, AttributeValue>) {
        for (name, value) in attributes { self[name] = value }
    }

    /// The attribute of a name, nil where there is none. Setting nil removes it; a new name goes to the end.
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
    /// A whole number (ONNX's INT); flags, element types and axes are such.
    case int(Int64)
    /// A number in single precision (FLOAT).
    case float(Float)
    /// A text (STRING).
    case string(String)
    /// A tensor (TENSOR).
    case tensor(Tensor)
    /// A graph that the node runs (GRAPH), such as a loop's body.
    case graph(Graph)
    /// A type (TYPE_PROTO).
    case type(ValueType)
    /// A list of whole numbers (INTS).
    case ints([Int64])
    /// A list of numbers (FLOATS).
    case floats([Float])
    /// A list of texts (STRINGS).
    case strings([String])
    /// A list of tensors (TENSORS).
    case tensors([Tensor])
    /// A list of graphs (GRAPHS).
    case graphs([Graph])
    /// A list of types (TYPE_PROTOS).
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
