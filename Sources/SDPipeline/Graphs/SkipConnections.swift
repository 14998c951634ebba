import GraphRuntime

/// The skip connections of a U-Net (Ronneberger et al. 2015), found in its graph whoever exported it.
///
/// On its way up the U-Net joins, along the channels, what it has made so far with what it kept on its way down, the last first. Each such
/// concatenation has two operands that are made of the noisy sample: the hidden states, which depend on the concatenation before, and the
/// skip, which depends on none. Exporters name the nodes after the modules (`/up_blocks.1/Concat_2`) or state the modules beside them;
/// where such names are gone, as after a simplifier, the chain of concatenations that leads to the output is found without them.
///
/// What changes a U-Net here changes it at these places: residuals of a ControlNet are added to each skip (``Connection/residual`` says
/// which), and to ``middle``; FreeU scales both operands by ``Connection/block``; and a graph that is cut at the hidden operand of a
/// connection (``Connection/hidden``) has a shallow part, which needs that value and the sample alone, and a deep one that makes it.
public struct SkipConnections: Sendable {
    /// One of them.
    public struct Connection: Sendable, Equatable {
        /// What the concatenation makes, by which its node is found in a graph that has been edited since.
        public let output: ValueID
        /// The hidden states, [N, C, h, w].
        public let hidden: ValueID
        /// Which input of the node they are.
        public let hiddenInput: Int
        /// What was kept on the way down, [N, C', h, w].
        public let skip: ValueID
        /// Which input of the node it is.
        public let skipInput: Int
        /// C, where the graph tells it.
        public let hiddenChannels: Int?
        /// C', where the graph tells it.
        public let skipChannels: Int?
        /// The block on the way up, from 0 for the one with the fewest pixels.
        public let block: Int
        /// The place of the skip among all, counted on the way down: 0 is what the first convolution makes. diffusers'
        /// `down_block_additional_residuals` have this order.
        public let residual: Int
    }

    /// In the order in which they are computed: the last skip of the way down is the first.
    public let connections: [Connection]

    /// What the middle block makes: the hidden states of the first connection.
    public var middle: ValueID { connections[0].hidden }

    /// Finds them.
    ///
    /// - Parameters:
    ///   - graph: of a U-Net.
    ///   - title: what messages call it.
    /// - Throws: ``PipelineError`` of kind `unsupportedModel` where the graph has none, or concatenations that no chain can be made of.
    public init(_ graph: Graph, title: String = "U-Net") throws(PipelineError) {
        let search = try Search(graph, title: title)
        let chain = try search.chain()
        connections = chain.enumerated().map { index, link in
            let (hidden, skip) = (link.operands[link.hiddenInput], link.operands[1 - link.hiddenInput])
            return Connection(
                output: link.output, hidden: hidden, hiddenInput: link.hiddenInput, skip: skip,
                skipInput: 1 - link.hiddenInput, hiddenChannels: search.channels(of: hidden),
                skipChannels: search.channels(of: skip), block: search.block(of: link, hidden: hidden),
                residual: chain.count - 1 - index)
        }
    }

    /// The node of a connection in the graph, which may have been edited since.
    static func node(of connection: Connection, in graph: Graph) throws(PipelineError) -> Int {
        guard let index = graph.nodes.firstIndex(where: { $0.outputs.contains(connection.output) }) else {
            throw PipelineError("A skip connection of the U-Net is no longer in its graph.", kind: .unsupportedModel)
        }
        return index
    }
}

extension SkipConnections {
    /// A concatenation of two values along the channels.
    private struct Link {
        let node: Int
        let operands: [ValueID]
        let output: ValueID
        var hiddenInput = 0
    }

    /// What is known of a graph while its connections are looked for.
    private struct Search {
        private let graph: Graph
        private let title: String
        private let producers: [ValueID: Int]
        /// Values that are made of the sample, not of its shape alone.
        private let ofSample: Set<ValueID>
        /// Along the way with most of them, the nodes that enlarge pictures before each value.
        private let enlargements: [ValueID: Int]

        /// What depends on the shapes of its inputs alone.
        private static let shapeReaders: Set = ["Shape", "Size"]
        private static let enlarging: Set = ["Resize", "Upsample", "ConvTranspose", "DepthToSpace"]
        /// The most concatenations that are looked at: a U-Net has a dozen.
        private static let mostLinks = 64

        init(_ graph: Graph, title: String) throws(PipelineError) {
            self.graph = graph
            self.title = title
            let inputs = graph.inputs.filter { graph.initializers[$0] == nil }
            guard let sample = inputs.first(where: { graph.values[$0].name == "sample" }) ?? inputs.first else {
                throw PipelineError("The \(title) has no input, and so no skip connections.", kind: .unsupportedModel)
            }
            var (producers, ofSample, enlargements): ([ValueID: Int], Set, [ValueID: Int]) = ([:], [sample], [:])
            for (index, node) in graph.nodes.enumerated() {
                for case let output? in node.outputs { producers[output] = index }
                guard !Self.shapeReaders.contains(node.identity.type) else { continue }
                let sources = node.reads.filter(ofSample.contains)
                guard !sources.isEmpty else { continue }
                let before = sources.map { enlargements[$0] ?? 0 }.max() ?? 0
                let count = before + (Self.enlarging.contains(node.identity.type) ? 1 : 0)
                for case let output? in node.outputs {
                    ofSample.insert(output)
                    enlargements[output] = count
                }
            }
            (self.producers, self.ofSample, self.enlargements) = (producers, ofSample, enlargements)
        }

        /// The concatenations of the way up, each after the one that it depends on.
        func chain() throws(PipelineError) -> [Link] {
            let found = concatenations()
            let named = found.filter { Self.namedBlock(graph.nodes[$0.node]) != nil }
            var links = named.isEmpty ? found : named
            guard !links.isEmpty, links.count <= Self.mostLinks else {
                throw PipelineError(
                    "The \(title)'s graph has \(links.isEmpty ? "no" : "\(links.count)") concatenations of two values along the channels before its output, "
                        + "expected those of its skip connections, about a dozen.", kind: .unsupportedModel)
            }
            let marks = marks(links)
            for index in links.indices {
                let before = links[index].operands.map { marks[$0] ?? 0 }
                if index == 0 {
                    guard before == [0, 0] else { throw broken(links[index]) }
                    links[0].hiddenInput = dependsOn(links[0].operands[1], links[0].operands[0]) ? 1 : 0
                } else {
                    let isHidden = before.map { $0 & (1 << (index - 1)) != 0 }
                    guard let hidden = isHidden.firstIndex(of: true), before[1 - hidden] == 0 else {
                        throw broken(links[index])
                    }
                    links[index].hiddenInput = hidden
                }
            }
            return links
        }

        private func broken(_ link: Link) -> PipelineError {
            PipelineError(
                "The skip connections of the \(title) aren't found in its graph: the concatenation \(graph.nodes[link.node].title) doesn't follow the "
                    + "one before, with what was made on the way down.", kind: .unsupportedModel)
        }

        /// All of two values that are made of the sample, along the channels, on the way to the output.
        private func concatenations() -> [Link] {
            var needed: Set<ValueID> = Set(graph.outputs.prefix(1))
            var result: [Link] = []
            for index in graph.nodes.indices.reversed() {
                let node = graph.nodes[index]
                guard node.outputs.contains(where: { $0.map(needed.contains) ?? false }) else { continue }
                needed.formUnion(node.reads)
                let operands = node.inputs.compactMap { $0 }
                guard node.identity.type == "Concat", node.identity.domain.isEmpty,
                    case .int(let axis)? = node.attributes["axis"],
                    axis == 1 || axis == -3, operands.count == 2, node.inputs.count == 2,
                    operands.allSatisfy(ofSample.contains), let output = node.outputs.first ?? nil
                else { continue }
                result.append(Link(node: index, operands: operands, output: output))
            }
            return result.reversed()
        }

        /// For each value, a bit for every link that it depends on.
        private func marks(_ links: [Link]) -> [ValueID: UInt64] {
            let own = Dictionary(uniqueKeysWithValues: links.enumerated().map { ($1.node, UInt64(1) << $0) })
            var marks: [ValueID: UInt64] = [:]
            for (index, node) in graph.nodes.enumerated() where !Self.shapeReaders.contains(node.identity.type) {
                let mark = node.reads.reduce(own[index] ?? 0) { $0 | (marks[$1] ?? 0) }
                guard mark != 0 else { continue }
                for case let output? in node.outputs { marks[output] = mark }
            }
            return marks
        }

        /// Whether a value is made of another.
        private func dependsOn(_ value: ValueID, _ other: ValueID) -> Bool {
            var (open, seen): ([ValueID], Set<ValueID>) = ([value], [value])
            while let next = open.popLast() {
                guard let node = producers[next].map({ graph.nodes[$0] }), !Self.shapeReaders.contains(node.identity.type)
                else { continue }
                for read in node.reads where seen.insert(read).inserted {
                    if read == other { return true }
                    open.append(read)
                }
            }
            return false
        }

        /// The block on the way up, by the node's name or module, or by how often the hidden states have been enlarged: each block but
        /// the last ends with that.
        func block(of link: Link, hidden: ValueID) -> Int {
            Self.namedBlock(graph.nodes[link.node]) ?? enlargements[hidden] ?? 0
        }

        private static func namedBlock(_ node: Node) -> Int? {
            let marker = "up_blocks."
            let name = node.scopes.last { $0.contains(marker) } ?? node.name
            guard let range = name.firstRange(of: marker) else { return nil }
            return Int(name[range.upperBound...].prefix { $0.isASCII && $0.isNumber })
        }

        /// The channels of a value [N, C, h, w]: as declared, or those of the convolution that made it, or that made one of its summands.
        func channels(of value: ValueID) -> Int? {
            let passing: Set = [
                "Add", "Sub", "Mul", "Div", "Cast", "CastLike", "Identity", "Dropout", "Resize", "Upsample", "SkipGroupNorm",
                "QuantizeLinear", "DequantizeLinear",
            ]
            var (open, seen): ([ValueID], Set<ValueID>) = ([value], [value])
            while let next = open.popLast() {
                if case .tensor(_, let dimensions?)? = graph.values[next].type, dimensions.count == 4,
                    case .fixed(let extent) = dimensions[1], extent > 0
                {
                    return extent
                }
                guard let node = producers[next].map({ graph.nodes[$0] }) else { continue }
                if ["Conv", "FusedConv"].contains(node.identity.type) {
                    if let weight = node.inputs.dropFirst().first ?? nil, let shape = shape(of: weight), shape.count == 4 {
                        return shape[0]
                    }
                } else if passing.contains(node.identity.type) {
                    open += node.inputs.prefix(2).compactMap { $0 }.filter { ofSample.contains($0) && seen.insert($0).inserted }
                }
            }
            return nil
        }

        /// The shape of a constant, seen through a conversion of its type.
        private func shape(of value: ValueID) -> [Int]? {
            var value = value
            while graph.initializers[value] == nil {
                guard let node = producers[value].map({ graph.nodes[$0] }),
                    ["Cast", "Identity", "DequantizeLinear"].contains(node.identity.type), let source = node.inputs.first ?? nil
                else {
                    if let node = producers[value].map({ graph.nodes[$0] }), node.identity.type == "Constant",
                        case .tensor(let tensor)? = node.attributes["value"]
                    {
                        return tensor.shape.dimensions
                    }
                    return nil
                }
                value = source
            }
            return graph.initializers[value]?.shape.dimensions
        }
    }
}
