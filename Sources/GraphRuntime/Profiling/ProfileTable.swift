/// The nodes of a profile added up in groups.
public struct ProfileTable: Sendable {
    /// What makes one row.
    public enum Grouping: String, Sendable, CaseIterable {
        /// An operator type.
        case op
        /// A node.
        case node
        /// An operator type with the shapes of its inputs.
        case shape
        /// What one fusion made; operators that none made, by type.
        case fusion
        /// A module of the exported program, see ``NodeHierarchy/layer(of:)``.
        case layer
    }

    /// By what rows are sorted, largest first.
    public enum Order: String, Sendable, CaseIterable {
        /// By nanoseconds.
        case time
        /// By floating-point operations.
        case flops
        /// By bytes of memory taken.
        case memory
    }

    /// A group of nodes.
    public struct Row: Sendable {
        /// The operator, node, shape, fusion or layer.
        public let name: String
        /// Over all runs.
        public var calls = 0
        /// Nanoseconds over all runs.
        public var nanoseconds = 0.0
        /// Floating-point operations over all runs.
        public var flops = 0.0
        /// Bytes of inputs and outputs.
        public var bytes = 0.0
        /// Bytes of memory taken over all runs.
        public var allocatedBytes = 0
        /// Calls of each kernel; operators that name none aren't counted.
        public var kernels: [String: Int] = [:]
        /// Nanoseconds in each run.
        public var perRun: [Double]

        /// The kernels, most used first: `Winograd 4×4, im2col`.
        public var kernelSummary: String {
            kernels.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key).joined(separator: ", ")
        }
    }

    /// What a row is.
    public let grouping: Grouping
    /// Sorted by what was asked for, largest first.
    public let rows: [Row]
    /// Runs of graphs.
    public let runCount: Int
    /// Nanoseconds of all nodes over all runs, those inside of other nodes left out.
    public let nodeNanoseconds: Double
    /// Nanoseconds of all runs, what the profile itself took left out.
    public let runNanoseconds: Double

    /// Nanoseconds that the runs took beside their nodes: what the interpreter costs.
    public var interpreterNanoseconds: Double { max(runNanoseconds - nodeNanoseconds, 0) }
    /// Runs of nodes.
    public var calls: Int { rows.reduce(0) { $0 + $1.calls } }

    /// Adds up the nodes of a profile.
    ///
    /// - Parameters:
    ///   - profile: what ran.
    ///   - grouping: what makes one row.
    ///   - order: by what the rows are sorted.
    public init(_ profile: Profile, by grouping: Grouping, order: Order = .time) {
        self.grouping = grouping
        runCount = profile.runCount
        let nodes = profile.nodes
        let names = nodes.map { Self.name(of: $0, by: grouping) }
        var table: [String: Row] = [:]
        var total = 0.0
        for span in profile.spans where nodes[span.node].depth == 0 {
            let node = nodes[span.node]
            let name = names[span.node]
            total += Double(span.nanoseconds)
            table[name, default: Row(name: name, perRun: [Double](repeating: 0, count: max(runCount, 1)))]
                .add(span, node)
        }
        let rows = table.values.sorted { ($0.name) < ($1.name) }
        self.rows =
            switch order {
            case .time: rows.sorted { $0.nanoseconds > $1.nanoseconds }
            case .flops: rows.sorted { $0.flops > $1.flops }
            case .memory: rows.sorted { $0.allocatedBytes > $1.allocatedBytes }
            }
        nodeNanoseconds = total
        let runs = profile.sections.reduce(0.0) { $0 + ($1.kind == .run ? Double($1.nanoseconds) : 0) }
        runNanoseconds = max(runs - Double(profile.ownNanoseconds), 0)
    }

    private static func name(of node: Profile.NodeRecord, by grouping: Grouping) -> String {
        switch grouping {
        case .op: node.type
        case .node: node.name.isEmpty ? node.type : node.name
        case .shape: node.type + " " + node.inputs.joined(separator: ", ")
        case .fusion: node.fusion.map { "\($0.fusion) (of \($0.nodes.count) nodes)" } ?? "not fused: \(node.type)"
        case .layer: NodeHierarchy.layer(of: node.path)
        }
    }
}

extension ProfileTable.Row {
    fileprivate mutating func add(_ span: Profile.Span, _ node: Profile.NodeRecord) {
        calls += 1
        nanoseconds += Double(span.nanoseconds)
        flops += node.flops
        bytes += node.bytes
        allocatedBytes += span.allocatedBytes
        if let kernel = node.kernel { kernels[kernel, default: 0] += 1 }
        if perRun.indices.contains(span.run) { perRun[span.run] += Double(span.nanoseconds) }
    }
}
