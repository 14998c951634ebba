import GraphRuntime

/// A graph with values by name, as the file has it: calls of functions aren't inlined, scopes aren't resolved.
struct NamedGraph {
    var name = ""
    var inputs: [String] = []
    var outputs: [String] = []
    /// The types that inputs, outputs and value_info state.
    var types: [String: ValueType] = [:]
    var initializers: [(name: String, tensor: Tensor)] = []
    var nodes: [NamedNode] = []
}

struct NamedNode {
    var name: String
    var domain: String
    var type: String
    var overload: String
    /// The opset version of ``domain`` in the model or function that the node is in, nil where that doesn't import it.
    var version: Int?
    /// Empty for an optional input or output that isn't given.
    var inputs: [String]
    var outputs: [String]
    var attributes: [NamedAttribute]
    /// See ``Node/scopes``.
    var scopes: [String] = []

    /// For messages.
    var title: String {
        let operation = ((domain.isEmpty ? "" : domain + ".") + type).shortened(to: String.longestName)
        return operation + (name.isEmpty ? "" : " \"\(name.shortened(to: String.longestName))\"")
    }
}

struct NamedAttribute {
    enum Content {
        case value(AttributeValue)
        case graph(NamedGraph)
        case graphs([NamedGraph])
        /// In a function's body: the attribute of the call that gives the value.
        case reference(String)
    }

    var name: String
    var content: Content
}

/// A function that a model brings along (FunctionProto).
struct NamedFunction {
    struct Key: Hashable {
        var domain: String
        var name: String
        var overload: String
    }

    var key: Key
    var inputs: [String]
    var outputs: [String]
    /// Attributes that a call may leave out, with the value that they then have.
    var defaults: [NamedAttribute]
    var types: [String: ValueType]
    var nodes: [NamedNode]
    var opsets: [String: Int]

    /// For messages.
    var title: String {
        ("\(key.domain).\(key.name)" + (key.overload.isEmpty ? "" : ":" + key.overload)).shortened(to: String.longestName)
    }
}
