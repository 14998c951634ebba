import Dispatch

/// Watches runs from outside; a run without one pays nothing for it.
public protocol RunObserver: AnyObject {
    /// Whether steps behind a value whose shape only the run shows may run as they do without an observer: by a plan of their own, whose nodes
    /// and values aren't those of the graph that ``willRun(_:)`` was given. False by default: then they run one by one.
    var watchesParts: Bool { get }

    /// Called before the nodes of a graph run, not for graphs in attributes; the ids of the events that follow are this graph's.
    func willRun(_ graph: Graph)

    /// Called after each node, on the thread that ran it.
    func didRun(_ event: NodeEvent)

    /// Called after each run of a graph, and by those who run graphs after each part of their own work.
    func didRun(_ section: Section)
}

extension RunObserver {
    public var watchesParts: Bool { false }
    public func willRun(_ graph: Graph) {}
    public func didRun(_ section: Section) {}
}

/// A stretch of time with a name.
public struct Section: Sendable, Equatable {
    /// What a section is of.
    public enum Kind: Sendable {
        /// One run of a graph.
        case run
        /// A part of the work of a program that runs graphs; runs may lie inside.
        case part
    }

    /// What ran: `unet`, `step 3`.
    public let name: String
    /// Whether it is a run of a graph or a part around such runs.
    public let kind: Kind
    /// On the clock of ``NodeEvent/start``, in nanoseconds.
    public let start: UInt64
    /// When it ended, on the same clock.
    public let end: UInt64

    /// A stretch of time; times in nanoseconds.
    public init(name: String, kind: Kind, start: UInt64, end: UInt64) {
        self.name = name
        self.kind = kind
        self.start = start
        self.end = end
    }

    /// How long it took.
    public var nanoseconds: UInt64 { end - start }

    /// Runs `body` and tells the observer, if there is one, how long it took; nothing is told where it throws.
    public static func time<Result>(
        _ name: @autoclosure () -> String, for observer: (any RunObserver)?, _ body: () throws -> Result
    ) rethrows -> Result {
        guard let observer else { return try body() }
        let start = DispatchTime.now().uptimeNanoseconds
        let result = try body()
        observer.didRun(Section(name: name(), kind: .part, start: start, end: DispatchTime.now().uptimeNanoseconds))
        return result
    }
}

/// A node's place in a plan. Events of the same place have the same node, kernel, shapes and types.
public struct NodeSite: Sendable, Hashable {
    /// Unique in the process.
    let plan: Int
    let step: Int
}

/// One node's run.
public struct NodeEvent: Sendable {
    /// Where the node is. One of a plan isn't copied: the many arrays in it lie in memory that a run of large kernels has long
    /// pushed out of the caches.
    enum Place: Sendable {
        case alone(Node)
        case step(Plan, Int)
    }

    let place: Place
    /// See ``Operator/kernelName(inputs:outputs:)``.
    public let kernelName: String?
    /// When it began and ended, on a monotonic clock, in nanoseconds.
    public let start: UInt64
    /// When it ended, on the clock of ``start``, in nanoseconds.
    public let end: UInt64
    /// What it read; nil for an optional input that isn't given.
    public let inputs: [Value?]
    /// What it wrote, in memory that the run will use again; nil for what nobody asked for.
    public let outputs: [Value?]
    /// How deep in subgraphs the node is; a node's own time contains that of the nodes in its graphs.
    public let depth: Int
    /// Bytes of memory that it took: what the process allocated for tensors meanwhile, and its outputs' new places in the arena.
    public let allocatedBytes: Int
    /// Whether the plan knows all shapes and types, so that events of the same step have the same.
    var isFixed = false

    /// The node that ran.
    public var node: Node {
        switch place {
        case .alone(let node): node
        case .step(let plan, let index): plan.steps[index].node
        }
    }

    /// Nil where shapes, types or the kernel are decided anew in every run.
    public var site: NodeSite? {
        guard isFixed, case .step(let plan, let index) = place else { return nil }
        return NodeSite(plan: plan.number, step: index)
    }

    /// The node's work by ``Operator/cost(inputs:outputs:)``, of what it was given.
    public var cost: Cost {
        let inputs = inputs.map { $0.map { Fact($0) } }
        let outputs = outputs.map { $0.map { Fact($0) } }
        return node.operation?.cost(inputs: inputs, outputs: outputs) ?? Cost()
    }
}
