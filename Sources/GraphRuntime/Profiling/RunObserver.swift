import Dispatch

/// Watches a run from outside; a run without one pays nothing for it.
public protocol RunObserver: AnyObject {
    /// Called after each node.
    func didRun(_ event: NodeEvent)
}

/// One node's run.
public struct NodeEvent: Sendable {
    public let node: Node
    /// See ``Operator/kernelName``.
    public let kernelName: String?
    /// When it began and ended, on a monotonic clock, in nanoseconds.
    public let start: UInt64
    public let end: UInt64
    public let inputs: [Value?]
    public let outputs: [Value?]
    /// How deep in subgraphs the node stands; a node's own time contains that of the nodes in its graphs.
    public let depth: Int

    /// The node's work by ``Operator/cost(inputs:outputs:)``, of what it was given.
    public var cost: Cost {
        let inputs = inputs.map { $0.map { Fact($0) } }
        let outputs = outputs.map { $0.map { Fact($0) } }
        return node.operation?.cost(inputs: inputs, outputs: outputs) ?? Cost()
    }
}

/// Adds up the nodes of any number of runs by operator type.
public final class OperatorProfile: RunObserver {
    /// The totals of one operator type.
    public struct Row: Sendable {
        public let type: String
        public var calls = 0
        public var nanoseconds: UInt64 = 0
        public var cost = Cost()
    }

    private var table: [String: Row] = [:]
    /// What this profile itself took between nodes: to be left out where the time between nodes is asked for.
    public private(set) var ownNanoseconds: UInt64 = 0

    public init() {}

    public func didRun(_ event: NodeEvent) {
        guard event.depth == 0 else { return }
        defer { ownNanoseconds += DispatchTime.now().uptimeNanoseconds - event.end }
        let type = event.node.identity.type
        var row = table[type] ?? Row(type: type)
        row.calls += 1
        row.nanoseconds += event.end - event.start
        let cost = event.cost
        row.cost.flops += cost.flops
        row.cost.bytes += cost.bytes
        table[type] = row
    }

    /// Rows by descending time.
    public var rows: [Row] { table.values.sorted { ($1.nanoseconds, $0.type) < ($0.nanoseconds, $1.type) } }
}
