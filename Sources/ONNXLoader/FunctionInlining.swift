import GraphRuntime

/// Replaces the calls of a model's functions by the functions' nodes, within graphs of attributes and within functions too.
///
/// The nodes' names and the values that a function keeps to itself get the call's name in front, made unique.
struct FunctionInliner {
    private let functions: [NamedFunction.Key: NamedFunction]
    private var takenNames: Set<String> = []
    private var lastNumbers: [String: Int] = [:]
    /// What the nodes count on: a few functions that each call the next one twice make more nodes than any memory holds.
    private let budget: LoadBudget

    /// Bytes of memory that a node takes: an estimate.
    private static let nodeBytes = 512
    /// The most functions that may be open at once, in a chain of calls.
    static let maximumDepth = 100

    /// - Throws: ``LoadError`` where two functions have the same domain, name and overload.
    init(_ functions: [NamedFunction], budget: LoadBudget) throws(LoadError) {
        self.budget = budget
        var table: [NamedFunction.Key: NamedFunction] = [:]
        for function in functions {
            guard table.updateValue(function, forKey: function.key) == nil else {
                throw LoadError(.graph, "the function \(function.title) is defined twice: keep one of them")
            }
            var inputs: Set<String> = []
            if let input = function.inputs.first(where: { !inputs.insert($0).inserted }) {
                throw LoadError(
                    .graph,
                    "the function \(function.title) lists the input \"\(input.shortened(to: String.longestName))\" twice")
            }
        }
        self.functions = table
    }

    /// - Throws: ``LoadError`` of kind `graph`, for functions that call themselves, too.
    mutating func inline(_ graph: NamedGraph) throws(LoadError) -> NamedGraph {
        if functions.isEmpty { return graph }
        collectNames(graph)
        return try expand(graph, [])
    }

    private mutating func collectNames(_ graph: NamedGraph) {
        takenNames.formUnion(graph.inputs)
        for (name, _) in graph.initializers { takenNames.insert(name) }
        for node in graph.nodes {
            takenNames.formUnion(node.outputs)
            takenNames.insert(node.name)
            for case .graph(let inner) in node.attributes.map(\.content) { collectNames(inner) }
            for case .graphs(let inner) in node.attributes.map(\.content) { for graph in inner { collectNames(graph) } }
        }
    }

    private mutating func expand(_ graph: NamedGraph, _ stack: [NamedFunction.Key]) throws(LoadError) -> NamedGraph {
        var result = graph
        result.nodes = []
        for node in graph.nodes { try expand(node, into: &result, stack) }
        return result
    }

    private mutating func expand(_ node: NamedNode, into graph: inout NamedGraph, _ stack: [NamedFunction.Key])
        throws(LoadError)
    {
        if !stack.isEmpty {
            try budget.takeNode()
            try budget.take(bytes: Self.nodeBytes)
        }
        let key = NamedFunction.Key(domain: node.domain, name: node.type, overload: node.overload)
        if let function = functions[key] {
            do throws(LoadError) {
                guard !stack.contains(key) else { throw LoadError(.graph, "the function \(function.title) calls itself") }
                guard stack.count < Self.maximumDepth else {
                    throw LoadError(.graph, "functions call each other more than \(Self.maximumDepth) deep")
                }
                try expandCall(node, function, into: &graph, stack + [key])
            } catch {
                // The outermost call is what a person can find in the file.
                throw stack.isEmpty ? error.prefixed("node \(node.title)") : error
            }
            return
        }
        var node = node
        for index in node.attributes.indices {
            switch node.attributes[index].content {
            case .graph(let inner): node.attributes[index].content = .graph(try expand(inner, stack))
            case .graphs(let inner):
                var graphs: [NamedGraph] = []
                for graph in inner { graphs.append(try expand(graph, stack)) }
                node.attributes[index].content = .graphs(graphs)
            case .value, .reference: break
            }
        }
        graph.nodes.append(node)
    }

    private mutating func expandCall(
        _ call: NamedNode, _ function: NamedFunction, into graph: inout NamedGraph, _ stack: [NamedFunction.Key]
    ) throws(LoadError) {
        guard call.inputs.count <= function.inputs.count, call.outputs.count <= function.outputs.count else {
            throw LoadError(
                .graph,
                "the function \(function.title) takes \(function.inputs.count) inputs and gives \(function.outputs.count) outputs, but "
                    + "the call has \(call.inputs.count) and \(call.outputs.count)")
        }
        var body = FunctionBody(prefix: uniquePrefix(call), call: call, function: function)
        try budget.take(
            bytes: body.prefix.utf8.count * (1 + function.nodes.reduce(0) { $0 + 1 + $1.inputs.count + $1.outputs.count }))
        for (formal, actual) in zip(function.inputs, call.inputs) { body.names[formal] = actual }
        for formal in function.inputs.dropFirst(call.inputs.count) { body.names[formal] = "" }
        for (formal, actual) in zip(function.outputs, call.outputs) where !actual.isEmpty {
            if let input = body.names[formal] {
                // An input that is handed out as it is, or an output that is listed twice: its two names outside are two values.
                graph.nodes.append(try passThrough(input, actual, call, function))
            } else {
                body.names[formal] = actual
            }
        }
        for (name, type) in function.types {
            let outer = body.outerName(name)
            if !outer.isEmpty, graph.types[outer] == nil { graph.types[outer] = type }
        }
        for node in function.nodes { try expand(body.substitute(node), into: &graph, stack) }
    }

    private func passThrough(
        _ input: String, _ output: String, _ call: NamedNode, _ function: NamedFunction
    ) throws(LoadError) -> NamedNode {
        guard !input.isEmpty else {
            throw LoadError(.graph, "the function \(function.title) gives out an input that isn't given")
        }
        return NamedNode(
            name: call.name, domain: "", type: "Identity", overload: "", version: function.opsets[""] ?? 1, inputs: [input],
            outputs: [output], attributes: [])
    }

    private mutating func uniquePrefix(_ call: NamedNode) -> String {
        let base = call.name.isEmpty ? call.type : call.name
        var prefix = base
        var number = lastNumbers[base] ?? 1
        while !takenNames.insert(prefix).inserted {
            number += 1
            prefix = "\(base)#\(number)"
        }
        lastNumbers[base] = number
        return prefix + "/"
    }
}

/// The body of a function as seen by one call.
private struct FunctionBody {
    let prefix: String
    /// The names, outside, of the function's inputs and outputs; empty for inputs that aren't given.
    var names: [String: String] = [:]
    private var attributes: [String: NamedAttribute.Content] = [:]

    init(prefix: String, call: NamedNode, function: NamedFunction) {
        self.prefix = prefix
        for attribute in function.defaults { attributes[attribute.name] = attribute.content }
        for attribute in call.attributes { attributes[attribute.name] = attribute.content }
    }

    func outerName(_ name: String) -> String { name.isEmpty ? "" : names[name] ?? prefix + name }

    func substitute(_ node: NamedNode) -> NamedNode {
        var result = node
        result.name = prefix + (node.name.isEmpty ? node.type : node.name)
        result.inputs = node.inputs.map(outerName)
        result.outputs = node.outputs.map(outerName)
        result.attributes = node.attributes.compactMap { attribute in
            switch attribute.content {
            case .value: return attribute
            case .graph(let graph): return NamedAttribute(name: attribute.name, content: .graph(substitute(graph)))
            case .graphs(let graphs): return NamedAttribute(name: attribute.name, content: .graphs(graphs.map(substitute)))
            case .reference(let name):
                // Neither the call nor the function gives it: the attribute is left out, and the operator's own default holds.
                guard let content = attributes[name] else { return nil }
                return NamedAttribute(name: attribute.name, content: content)
            }
        }
        return result
    }

    /// A graph within the body; what it defines itself hides the function's inputs and outputs.
    private func substitute(_ graph: NamedGraph) -> NamedGraph {
        var inner = self
        for name in graph.inputs { inner.names[name] = nil }
        for (name, _) in graph.initializers { inner.names[name] = nil }
        for node in graph.nodes { for name in node.outputs { inner.names[name] = nil } }
        var result = NamedGraph(name: graph.name)
        result.inputs = graph.inputs.map(inner.outerName)
        result.outputs = graph.outputs.map(inner.outerName)
        result.initializers = graph.initializers.map { (inner.outerName($0.name), $0.tensor) }
        for (name, type) in graph.types {
            let outer = inner.outerName(name)
            if !outer.isEmpty { result.types[outer] = type }
        }
        result.nodes = graph.nodes.map(inner.substitute)
        return result
    }
}
