extension Graph {
    /// Merges nodes that compute the same from the same inputs, and small constants with the same contents.
    mutating func mergeCommonSubexpressions() {
        var representative = Array(values.indices)
        mergeConstants(into: &representative)
        let outputSet = Set(outputs)
        var seen: [String: [ValueID?]] = [:]
        var kept: [Node] = []
        kept.reserveCapacity(nodes.count)
        for var node in nodes {
            node.inputs = node.inputs.map { id in id.map { representative[$0] } }
            node.captures = node.captures.map { representative[$0] }
            if let key = node.mergeKey {
                if let earlier = seen[key], earlier.count == node.outputs.count,
                    // Outputs of the graph keep their names; and an output nobody computed yet can't stand in for one that is read.
                    zip(node.outputs, earlier).allSatisfy({ own, other in
                        own == nil || (other != nil && !outputSet.contains(own!))
                    })
                {
                    for (own, other) in zip(node.outputs, earlier) { if let own, let other { representative[own] = other } }
                    continue
                }
                seen[key] = node.outputs
            }
            kept.append(node)
        }
        nodes = kept
    }

    /// Only what fits this many bytes is compared: scalars, axes, shapes.
    static let largestMergedConstant = 256

    private func mergeConstants(into representative: inout [ValueID]) {
        var seen: [ConstantKey: ValueID] = [:]
        let fixed = Set(inputs + outputs).union(replaceable)
        for id in initializers.keys.sorted() {
            guard let tensor = initializers[id], tensor.dtype != .string, tensor.byteCount <= Self.largestMergedConstant,
                !fixed.contains(id)
            else { continue }
            let key = ConstantKey(dtype: tensor.dtype, shape: tensor.shape, bytes: Array(tensor.bytes))
            if let earlier = seen[key] { representative[id] = earlier } else { seen[key] = id }
        }
    }
}

private struct ConstantKey: Hashable {
    let dtype: DType
    let shape: Shape
    let bytes: [UInt8]
}

extension Node {
    /// Equal for nodes that compute the same; nil for those that may not.
    fileprivate var mergeKey: String? {
        guard let operation, operation.isDeterministic, captures.isEmpty else { return nil }
        let parameters: String
        if let key = operation.mergeKey {
            parameters = key
        } else {
            guard identity.domain != OperatorIdentity.fusionDomain, let key = attributes.mergeKey else { return nil }
            parameters = key
        }
        let sources = inputs.map { $0.map(String.init) ?? "-" }.joined(separator: ",")
        return "\(identity)|\(parameters)|\(sources)|\(outputs.count)|\(widensHalves)"
    }
}

extension NodeAttributes {
    fileprivate var mergeKey: String? {
        var parts: [String] = []
        for name in names.sorted() {
            guard let value = self[name] else { continue }
            switch value {
            case .int(let value): parts.append("\(name)=\(value)")
            case .float(let value): parts.append("\(name)=\(value.bitPattern)f")
            case .string(let value): parts.append("\(name)=\(value.count):\(value)")
            case .ints(let values): parts.append("\(name)=\(values)")
            case .floats(let values): parts.append("\(name)=\(values.map(\.bitPattern))f")
            default: return nil
            }
        }
        return parts.joined(separator: ";")
    }
}
