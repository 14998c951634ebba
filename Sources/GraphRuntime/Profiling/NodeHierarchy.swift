/// The modules of the program that a graph was exported from, as far as its nodes tell.
///
/// torch.onnx names nodes by their modules (`/down_blocks.0/resnets.0/conv1/Conv`), with dynamo it writes them beside the name
/// (``Node/scopes``); names of other exporters have no `/` and stand alone.
public enum NodeHierarchy {
    /// The modules around a node, outermost first, and the node's own name.
    public static func path(of node: Node) -> [String] {
        let leaf = node.name.isEmpty ? node.identity.type : node.name
        if !node.scopes.isEmpty { return node.scopes + [leaf] }
        let parts = node.name.split(separator: "/").map(String.init)
        return parts.isEmpty ? [leaf] : parts
    }

    /// The layer that a path belongs to: its modules up to the second with a number (`/down_blocks.0/attentions.0`), all of them where
    /// fewer have one. `/` for nodes without modules.
    public static func layer(of path: [String]) -> String {
        var numbered = 0
        var parts: [String] = []
        for part in path.dropLast() {
            parts.append(part)
            if isNumbered(part) { numbered += 1 }
            if numbered == 2 { break }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// `resnets.0`, and `0` alone.
    private static func isNumbered(_ part: String) -> Bool {
        let tail = part.reversed().prefix { $0.isASCII && $0.isNumber }
        guard !tail.isEmpty else { return false }
        return tail.count == part.count || part.dropLast(tail.count).last == "."
    }
}
