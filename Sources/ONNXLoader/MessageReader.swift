import COnnxProto
import GraphRuntime

/// Turns protobuf-c's structures into named graphs.
struct MessageReader {
    let tensors: TensorDecoder

    /// What holds where a model doesn't import a domain: older optimisers of ONNX Runtime wrote its operators without saying so.
    private static let impliedVersions = ["com.microsoft": 1]

    /// The opset versions by domain, `""` for ONNX's own (also written `ai.onnx`).
    func opsets(
        _ imports: [UnsafePointer<Onnx__OperatorSetIdProto>], of owner: String
    ) throws(LoadError) -> [String: Int] {
        var result: [String: Int] = [:]
        for unsafe(entry) in unsafe imports {
            let domain = unsafe normalize(text(entry.pointee.domain))
            let version = unsafe Int(entry.pointee.version)
            guard version > 0 else {
                throw LoadError(.graph, "\(owner) imports version \(version) of the operators of \"\(domain)\"")
            }
            guard (result.updateValue(version, forKey: domain) ?? version) == version else {
                throw LoadError(.graph, "\(owner) imports two versions of the operators of \"\(domain)\": keep one of them")
            }
        }
        return result
    }

    func graph(_ pointer: UnsafePointer<Onnx__GraphProto>, _ opsets: [String: Int]) throws(LoadError) -> NamedGraph {
        let proto = unsafe pointer.pointee
        var graph = unsafe NamedGraph(name: text(proto.name))
        // What an input is declared as holds over the rest: that is what a run is checked against.
        unsafe try declare(messages(proto.n_value_info, proto.value_info), in: &graph.types)
        graph.outputs = unsafe try declare(messages(proto.n_output, proto.output), in: &graph.types)
        graph.inputs = unsafe try declare(messages(proto.n_input, proto.input), in: &graph.types)
        for unsafe(tensor) in unsafe messages(proto.n_initializer, proto.initializer) {
            unsafe graph.initializers.append((text(tensor.pointee.name), try tensors.tensor(tensor)))
        }
        let sparse = unsafe messages(proto.n_sparse_initializer, proto.sparse_initializer)
        let dense = unsafe try tensors.dense(sparse)
        for index in dense.indices {
            unsafe graph.initializers.append((text(sparse[index].pointee.values?.pointee.name), dense[index]))
        }
        unsafe graph.nodes.reserveCapacity(proto.n_node)
        for unsafe(node) in unsafe messages(proto.n_node, proto.node) { unsafe graph.nodes.append(try self.node(node, opsets)) }
        return graph
    }

    /// A function; it may use the model's opset imports for domains that it doesn't import itself.
    func function(
        _ pointer: UnsafePointer<Onnx__FunctionProto>, _ modelOpsets: [String: Int]
    ) throws(LoadError) -> NamedFunction {
        let proto = unsafe pointer.pointee
        let key = unsafe NamedFunction.Key(
            domain: normalize(text(proto.domain)), name: text(proto.name), overload: text(proto.overload))
        let own = unsafe try opsets(
            messages(proto.n_opset_import, proto.opset_import), of: "function \(key.domain).\(key.name)")
        var function = unsafe NamedFunction(
            key: key, inputs: texts(proto.n_input, proto.input), outputs: texts(proto.n_output, proto.output), defaults: [],
            types: [:],
            nodes: [], opsets: modelOpsets.merging(own) { $1 })
        unsafe try declare(messages(proto.n_value_info, proto.value_info), in: &function.types)
        for unsafe(entry) in unsafe messages(proto.n_attribute_proto, proto.attribute_proto) {
            unsafe function.defaults.append(try attribute(entry, function.opsets))
        }
        for unsafe(node) in unsafe messages(proto.n_node, proto.node) {
            unsafe function.nodes.append(try self.node(node, function.opsets))
        }
        return function
    }

    /// Adds the types that one list states, in the place of those that are there already.
    ///
    /// - Returns: the names, in the order of the list.
    /// - Throws: ``LoadError`` for a name that is listed with two element types: readers differ in which they take.
    @discardableResult
    private func declare(
        _ list: [UnsafePointer<Onnx__ValueInfoProto>], in types: inout [String: ValueType]
    ) throws(LoadError) -> [String] {
        var names: [String] = []
        var listed: [String: ValueType] = [:]
        for unsafe(info) in unsafe list {
            let name = unsafe text(info.pointee.name)
            names.append(name)
            do throws(LoadError) {
                guard let type = unsafe try valueType(info.pointee.type.map { unsafe UnsafePointer($0) }) else { continue }
                if let other = listed.updateValue(type, forKey: name), !other.hasElements(of: type) {
                    throw LoadError(.graph, "it is declared twice, as \(other) and as \(type): keep one of them")
                }
            } catch {
                throw error.prefixed("value \"\(name.shortened(to: String.longestName))\"")
            }
        }
        types.merge(listed) { $1 }
        return names
    }

    private func node(_ pointer: UnsafePointer<Onnx__NodeProto>, _ opsets: [String: Int]) throws(LoadError) -> NamedNode {
        let proto = unsafe pointer.pointee
        let domain = unsafe normalize(text(proto.domain))
        var node = unsafe NamedNode(
            name: text(proto.name), domain: domain, type: text(proto.op_type), overload: text(proto.overload),
            version: opsets[domain] ?? Self.impliedVersions[domain],
            inputs: texts(proto.n_input, proto.input), outputs: texts(proto.n_output, proto.output), attributes: [])
        if let entry = unsafe messages(proto.n_metadata_props, proto.metadata_props)
            .first(where: { unsafe text($0.pointee.key) == ModuleScopes.metadataKey })
        {
            node.scopes = unsafe ModuleScopes.parse(text(entry.pointee.value))
        }
        var names: Set<String> = []
        do throws(LoadError) {
            try tensors.budget.takeNode()
            guard !node.type.isEmpty else { throw LoadError(.graph, "the node has no operator type") }
            for unsafe(attribute) in unsafe messages(proto.n_attribute, proto.attribute) {
                let decoded = unsafe try self.attribute(attribute, opsets)
                guard names.insert(decoded.name).inserted else {
                    throw LoadError(.graph, "the attribute \(decoded.name) is given twice: keep one of them")
                }
                node.attributes.append(decoded)
            }
        } catch {
            throw error.prefixed("node \(node.title)")
        }
        return node
    }

    private func normalize(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }
}

extension ValueType {
    /// Whether both are of one kind with the same element types, whatever their shapes.
    fileprivate func hasElements(of other: ValueType) -> Bool {
        switch (self, other) {
        case (.tensor(let a, _), .tensor(let b, _)), (.sparseTensor(let a, _), .sparseTensor(let b, _)): a == b
        case (.sequence(let a), .sequence(let b)), (.optional(let a), .optional(let b)): a.hasElements(of: b)
        case (.map(let key, let a), .map(let otherKey, let b)): key == otherKey && a.hasElements(of: b)
        default: false
        }
    }
}
