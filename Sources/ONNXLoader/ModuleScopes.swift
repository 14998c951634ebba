/// The modules around a node, as torch.onnx with dynamo writes them into the node's metadata: a Python list of qualified names from
/// the outermost module to the operation, such as `['', 'down_blocks.0', 'down_blocks.0.resnets.0', 'silu_1']`.
enum ModuleScopes {
    static let metadataKey = "pkg.torch.onnx.name_scopes"

    /// The names of the modules, each without those around it, outermost first: `["down_blocks.0", "resnets.0"]`.
    static func parse(_ text: String) -> [String] {
        var result: [String] = []
        var outer = ""
        // The last entry is the operation.
        for name in strings(text).dropLast() where !name.isEmpty {
            result.append(!outer.isEmpty && name.hasPrefix(outer + ".") ? String(name.dropFirst(outer.count + 1)) : name)
            outer = name
        }
        return result
    }

    /// The quoted parts of a Python list; names of modules hold no quotes.
    private static func strings(_ text: String) -> [String] {
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
    }
}
