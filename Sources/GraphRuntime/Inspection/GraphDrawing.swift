/// A graph as boxes and arrows, with the modules of the exported program (``NodeHierarchy``) collapsed into one box each.
public struct GraphDrawing: Sendable {
    /// A module, or a node by itself.
    public struct Box: Sendable {
        /// The module's path, or the node's name.
        public let name: String
        /// Nodes that are drawn as this box.
        public fileprivate(set) var nodeCount = 0
        /// How often each operator type occurs in it.
        public fileprivate(set) var operators: [String: Int] = [:]
        /// Bytes of the constants that its nodes read.
        public fileprivate(set) var weightBytes = 0
        fileprivate var isTerminal = false

        /// The most frequent operators: `Conv ×2, Add`.
        public var operatorSummary: String {
            let sorted = operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let list = sorted.prefix(4).map { $0.value > 1 ? "\($0.key) ×\($0.value)" : $0.key }
            return list.joined(separator: ", ") + (sorted.count > 4 ? ", …" : "")
        }
    }

    /// What flows from one box to another.
    public struct Arrow: Sendable {
        /// The box that it leaves, an index into ``GraphDrawing/boxes``.
        public let from: Int
        /// The box that it reaches, an index into ``GraphDrawing/boxes``.
        public let to: Int
        /// The types and shapes of up to three values, as far as they are known.
        public fileprivate(set) var labels: [String]
    }

    /// In the order in which their first nodes run; inputs of the graph come first, outputs last.
    public let boxes: [Box]
    /// What flows between the boxes; none between two twice.
    public let arrows: [Arrow]
    /// The levels of modules that are told apart.
    public let depth: Int
    private let title: String

    /// As many boxes as an eye can follow.
    private static let mostBoxes = 64
    /// Where nothing can be collapsed, a drawing stays useful up to some hundreds.
    private static let deepest = 12

    /// Lays out a graph's drawing.
    ///
    /// - Parameters:
    ///   - graph: the graph to draw.
    ///   - facts: what is known of the graph's values; nil takes its declarations.
    ///   - depth: levels of modules to tell apart, 1 or more; nil takes as many as give 64 boxes at most.
    ///   - title: the text above the drawing.
    public init(_ graph: Graph, facts: [Fact]? = nil, depth: Int? = nil, title: String) {
        self.title = title
        let grouping = Grouping(graph)
        var chosen = depth ?? 1
        var groups = grouping.groups(depth: chosen)
        if depth == nil {
            if groups.names.count > Self.mostBoxes { groups = grouping.groups(depth: chosen, joinsTopLevel: true) }
            while chosen < min(grouping.levels, Self.deepest) {
                let finer = grouping.groups(depth: chosen + 1)
                guard finer.names.count <= Self.mostBoxes else { break }
                (groups, chosen) = (finer, chosen + 1)
            }
            groups.join(into: Self.mostBoxes)
        }
        self.depth = chosen
        (boxes, arrows) = Self.collapse(graph, facts, groups)
    }

    private struct Groups {
        var names: [String] = []
        /// By node.
        var indices: [Int] = []

        /// Joins groups that begin one after the other, where there are more than `most`.
        mutating func join(into most: Int) {
            guard names.count > most else { return }
            let size = (names.count + most - 1) / most
            indices = indices.map { $0 / size }
            names = stride(from: 0, to: names.count, by: size).map { first in
                let last = min(first + size, names.count) - 1
                return first == last ? names[first] : "\(names[first]) … \(names[last])"
            }
        }
    }

    /// Which box each node goes into.
    private struct Grouping {
        private let graph: Graph
        /// The modules around each node, without those that all have in common, such as a wrapper that was exported.
        private let paths: [[String]]
        /// For a node whose values depend on no input, such as a constant, the first that reads them.
        private let readers: [Int?]
        /// The most modules around a node.
        let levels: Int

        init(_ graph: Graph) {
            self.graph = graph
            var paths = graph.nodes.map { Array(NodeHierarchy.path(of: $0).dropLast()) }
            while let common = paths.first(where: { !$0.isEmpty })?.first, paths.contains(where: { $0.count > 1 }),
                paths.allSatisfy({ $0.isEmpty || $0.first == common })
            {
                paths = paths.map { Array($0.dropFirst()) }
            }
            self.paths = paths
            levels = paths.map(\.count).max() ?? 0
            var readers = [Int?](repeating: nil, count: graph.nodes.count)
            var constants: [ValueID: Int] = [:]
            for (index, node) in graph.nodes.enumerated() {
                var isConstant = true
                for id in node.reads where graph.initializers[id] == nil {
                    if let constant = constants[id] {
                        readers[constant] = readers[constant] ?? index
                    } else {
                        isConstant = false
                    }
                }
                if isConstant { for case let id? in node.outputs { constants[id] = index } }
            }
            self.readers = readers
        }

        /// Nodes go into their modules' box down to `depth`; constants into that of their first reader; nodes without modules with
        /// those that they follow on, or each into their own where no node has modules.
        ///
        /// - Parameter joinsTopLevel: whether all nodes without modules go into one box.
        func groups(depth: Int, joinsTopLevel: Bool = false) -> Groups {
            var result = Groups(indices: [Int](repeating: 0, count: paths.count))
            var known: [String: Int] = [:]
            let isFlat = paths.allSatisfy(\.isEmpty)
            var open: Int?
            for (index, path) in paths.enumerated() where readers[index] == nil {
                if path.isEmpty {
                    if isFlat || open == nil {
                        let node = graph.nodes[index]
                        open = result.names.count
                        result.names.append(isFlat ? (node.name.isEmpty ? node.identity.type : node.name) : "top level")
                    }
                    result.indices[index] = open ?? 0
                    continue
                }
                if !joinsTopLevel { open = nil }
                let name = "/" + path.prefix(depth).joined(separator: "/")
                let group = known[name] ?? result.names.count
                if group == result.names.count { result.names.append(name) }
                known[name] = group
                result.indices[index] = group
            }
            // Readers come after what they read.
            for index in paths.indices.reversed() {
                if let reader = readers[index] { result.indices[index] = result.indices[reader] }
            }
            return result
        }
    }

    private static func collapse(_ graph: Graph, _ facts: [Fact]?, _ groups: Groups) -> ([Box], [Arrow]) {
        func label(_ id: ValueID) -> String {
            if let fact = facts?[id], fact.dtype != nil { return fact.summary }
            return graph.values[id].type.map { "\($0)" } ?? ""
        }
        let inputs = graph.inputs.filter { graph.initializers[$0] == nil }
        var boxes = inputs.map { Box(name: graph.values[$0].name, operators: [label($0): 1], isTerminal: true) }
        let firstGroup = boxes.count
        boxes += groups.names.map { Box(name: $0) }
        var source: [ValueID: Int] = [:]
        for (index, id) in inputs.enumerated() { source[id] = index }
        var arrows: [Arrow] = []
        var arrowIndex: [[Int]: Int] = [:]
        var drawn: Set<[Int]> = []
        func connect(_ id: ValueID, to: Int) {
            guard let from = source[id], from != to, drawn.insert([id, to]).inserted else { return }
            let text = label(id)
            if let known = arrowIndex[[from, to]] {
                if arrows[known].labels.count < 3 { arrows[known].labels.append(text) }
            } else {
                arrowIndex[[from, to]] = arrows.count
                arrows.append(Arrow(from: from, to: to, labels: [text]))
            }
        }
        var counted: Set<ValueID> = []
        for (node, group) in zip(graph.nodes, groups.indices) {
            let box = firstGroup + group
            boxes[box].nodeCount += 1
            boxes[box].operators[node.identity.type, default: 0] += 1
            for id in node.reads {
                if let tensor = graph.initializers[id] {
                    if counted.insert(id).inserted { boxes[box].weightBytes += tensor.byteCount }
                } else {
                    connect(id, to: box)
                }
            }
            for case let id? in node.outputs { source[id] = box }
        }
        for id in graph.outputs {
            boxes.append(Box(name: graph.values[id].name, operators: [label(id): 1], isTerminal: true))
            connect(id, to: boxes.count - 1)
        }
        return (boxes, arrows)
    }

    /// In Graphviz' language.
    public var dot: String {
        var lines = [
            "digraph \(MarkupText.json(title)) {",
            "  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"];",
            "  edge [fontname=\"sans-serif\", fontsize=9];",
        ]
        for (index, box) in boxes.enumerated() {
            let text = [box.name, box.operatorSummary, details(box)].filter { !$0.isEmpty }.joined(separator: "\n")
            let style = box.isTerminal ? ", shape=ellipse" : ""
            lines.append("  n\(index) [label=\(MarkupText.json(text))\(style)];")
        }
        for arrow in arrows {
            lines.append(
                "  n\(arrow.from) -> n\(arrow.to) [label=\(MarkupText.json(arrow.labels.joined(separator: "\n")))];")
        }
        return (lines + ["}", ""]).joined(separator: "\n")
    }

    private func details(_ box: Box) -> String {
        guard !box.isTerminal else { return "" }
        let nodes = box.nodeCount == 1 ? "1 node" : "\(box.nodeCount) nodes"
        return box.weightBytes > 0 ? "\(nodes), \(MarkupText.bytes(box.weightBytes)) of weights" : nodes
    }

    private static let boxHeight = 40.0
    private static let step = 58.0
    private static let boxWidth = 430.0
    private static let left = 20.0
    private static let top = 50.0

    /// Boxes below one another in the order in which they run; what flows further than to the next goes beside them.
    public var svg: String {
        let height = Self.top + Double(boxes.count) * Self.step + 20
        let longest = arrows.map { abs($0.to - $0.from) }.max() ?? 0
        let width = Self.left + Self.boxWidth + 60 + reach(longest)
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Int(width))\" height=\"\(Int(height))\" "
                + "viewBox=\"0 0 \(Int(width)) \(Int(height))\" font-family=\"sans-serif\" font-size=\"11\">",
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
                + "orient=\"auto\"><path d=\"M0,0L8,4L0,8z\" fill=\"#555\"/></marker></defs>",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Int(Self.left))\" y=\"26\" font-size=\"14\">\(MarkupText.xml(title))</text>",
        ]
        for arrow in arrows { lines.append(draw(arrow)) }
        for (index, box) in boxes.enumerated() { lines.append(draw(box, at: index)) }
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    /// How far beside the boxes an arrow over so many of them goes.
    private func reach(_ distance: Int) -> Double { 30 + 140 * Double(distance).squareRoot() / 2 }

    private func draw(_ box: Box, at index: Int) -> String {
        let y = Self.top + Double(index) * Self.step
        let fill = box.isTerminal ? "#eee" : Palette.light(box.name.split(separator: "/").first.map(String.init) ?? box.name)
        let tip = [box.name, box.operatorSummary, details(box)].joined(separator: "\n")
        let second = box.isTerminal ? box.operatorSummary : "\(details(box)): \(box.operatorSummary)"
        return "<g><title>\(MarkupText.xml(tip))</title><rect x=\"\(Int(Self.left))\" y=\"\(Int(y))\" "
            + "width=\"\(Int(Self.boxWidth))\" height=\"\(Int(Self.boxHeight))\" rx=\"\(box.isTerminal ? 18 : 4)\" fill=\"\(fill)\" "
            + "stroke=\"#555\"/><text x=\"\(Int(Self.left + 10))\" y=\"\(Int(y + 16))\" font-weight=\"bold\">"
            + "\(MarkupText.xml(MarkupText.cut(box.name, to: 62)))</text><text x=\"\(Int(Self.left + 10))\" y=\"\(Int(y + 31))\">"
            + "\(MarkupText.xml(MarkupText.cut(second, to: 64)))</text></g>"
    }

    private func draw(_ arrow: Arrow) -> String {
        let tip = "\(boxes[arrow.from].name) → \(boxes[arrow.to].name)\n" + arrow.labels.joined(separator: "\n")
        let from = Self.top + Double(arrow.from) * Self.step
        let to = Self.top + Double(arrow.to) * Self.step
        if arrow.to == arrow.from + 1 {
            let x = Self.left + 40
            let label = MarkupText.xml(arrow.labels.first ?? "")
            return "<g><title>\(MarkupText.xml(tip))</title><path d=\"M\(n(x)),\(n(from + Self.boxHeight))L\(n(x)),\(n(to))\" "
                + "stroke=\"#555\" fill=\"none\" marker-end=\"url(#tip)\"/><text x=\"\(n(x + 8))\" "
                + "y=\"\(n(from + Self.boxHeight + 12))\" fill=\"#555\" font-size=\"9\">\(label)</text></g>"
        }
        let x = Self.left + Self.boxWidth
        let control = x + reach(abs(arrow.to - arrow.from))
        let (start, end) = (from + Self.boxHeight * 0.7, to + Self.boxHeight * 0.3)
        let colour = arrow.to < arrow.from ? "#b33" : "#557799"
        return "<g><title>\(MarkupText.xml(tip))</title><path d=\"M\(n(x)),\(n(start))C\(n(control)),\(n(start)) "
            + "\(n(control)),\(n(end)) \(n(x)),\(n(end))\" stroke=\"\(colour)\" fill=\"none\" opacity=\"0.7\" "
            + "marker-end=\"url(#tip)\"/></g>"
    }

    private func n(_ value: Double) -> String { MarkupText.number(value) }
}
