import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Records what ran, when, and what it cost, over any number of runs, one after another.
public final class Profile: RunObserver {
    /// A node, with what is the same each time that it runs.
    public struct NodeRecord: Sendable {
        /// As the file has it; that of the last node where a fusion put it in the place of several.
        public let name: String
        /// The operator's type, with its domain in front where it is neither ONNX's own nor a fusion's.
        public let type: String
        /// How it computes, see ``Operator/kernelName(inputs:outputs:)``.
        public let kernel: String?
        /// The modules around it and its own name, see ``NodeHierarchy``.
        public let path: [String]
        /// The nodes that it stands for, where a fusion made it.
        public let fusion: FusionOrigin?
        /// Types and shapes, `float32[2, 4, 64, 64]`; `-` for an input that isn't given.
        public let inputs: [String]
        /// Types and shapes of its outputs, as those of ``inputs``.
        public let outputs: [String]
        /// Floating-point operations of one run; a multiply-add counts as two.
        public let flops: Double
        /// Bytes of its inputs and outputs.
        public let bytes: Double
        /// How deep in subgraphs it is; the time of nodes at 0 contains that of the nodes below.
        public let depth: Int
    }

    /// One run of a node.
    public struct Span: Sendable {
        /// Its index in ``Profile/nodes``.
        public let node: Int
        /// Which run of a graph it belongs to, 0 for the first.
        public let run: Int
        /// Nanoseconds on a monotonic clock.
        public let start: UInt64
        /// When it ended, on the clock of ``start``.
        public let end: UInt64
        /// 0 for the thread that was seen first.
        public let thread: Int
        /// Bytes of memory that it took, see ``NodeEvent/allocatedBytes``.
        public let allocatedBytes: Int

        /// How long it took.
        public var nanoseconds: UInt64 { end - start }
    }

    /// Each node with each kernel and each types and shapes that it ran with, in the order in which they first ran.
    public var nodes: [NodeRecord] {
        // Texts and costs are made when somebody asks for them: while nodes run they would take as long as small kernels.
        for sighting in sightings.dropFirst(records.count) { records.append(NodeRecord(sighting)) }
        return records
    }
    /// In the order of their ends.
    public private(set) var spans: [Span] = []
    /// In the order of their ends.
    public private(set) var sections: [Section] = []
    /// Runs of nodes that came after as many as are kept, 4 million; they are in no figure.
    public private(set) var droppedSpanCount = 0
    /// What this profile itself took between nodes, in nanoseconds: to be left out where the time between nodes is asked for.
    public private(set) var ownNanoseconds: UInt64 = 0
    /// Runs of graphs that have ended.
    public private(set) var runCount = 0

    /// What is noted of a node when it is seen for the first time.
    fileprivate struct Sighting: Hashable {
        let node: Node
        let kernel: String?
        let inputs: [Signature]
        let outputs: [Signature]
        let depth: Int

        /// The same node, by what tells nodes of one or several graphs apart.
        static func == (a: Sighting, b: Sighting) -> Bool {
            a.node.outputs == b.node.outputs && a.depth == b.depth && a.node.name == b.node.name
                && a.node.identity == b.node.identity && a.kernel == b.kernel && a.inputs == b.inputs && a.outputs == b.outputs
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(node.outputs.first ?? nil)
            hasher.combine(inputs)
        }
    }

    fileprivate enum Signature: Hashable {
        case none
        case tensor(DType, Shape)
        case other(String)

        init(_ value: Value?) {
            switch value {
            case nil: self = .none
            case .tensor(let tensor)?: self = .tensor(tensor.dtype, tensor.shape)
            case let value?: self = .other(value.kind)
            }
        }

        var text: String {
            switch self {
            case .none: "-"
            case .tensor(let dtype, let shape): "\(dtype)\(shape)"
            case .other(let kind): kind
            }
        }

        var fact: Fact? {
            switch self {
            case .none: nil
            case .tensor(let dtype, let shape): Fact(dtype: dtype, shape: shape)
            case .other: .unknown
            }
        }
    }

    private var records: [NodeRecord] = []
    private var sightings: [Sighting] = []
    private var indexOfSighting: [Sighting: Int] = [:]
    /// By plan, for each step the index of its node; −1 for steps that haven't run.
    private var indicesOfPlan: [Int: [Int32]] = [:]
    /// The entry of the plan that runs, taken out for the time.
    private var current: (plan: Int, indices: [Int32]) = (-1, [])
    private var threads: [UInt: Int] = [:]
    private var lastThread: (handle: UInt, index: Int)?

    static let largestSpanCount = 4_000_000

    /// A profile without runs.
    public init() {}

    public var watchesParts: Bool { true }

    public func didRun(_ event: NodeEvent) {
        guard spans.count < Self.largestSpanCount else {
            droppedSpanCount += 1
            return
        }
        spans.append(
            Span(
                node: index(of: event), run: runCount, start: event.start, end: event.end, thread: thread(),
                allocatedBytes: event.allocatedBytes))
        // What is done between nodes inside of another node is part of that node's time.
        if event.depth == 0 { ownNanoseconds += DispatchTime.now().uptimeNanoseconds - event.end }
    }

    public func didRun(_ section: Section) {
        sections.append(section)
        if section.kind == .run { runCount += 1 }
    }

    private func index(of event: NodeEvent) -> Int {
        guard let site = event.site else { return index(of: Sighting(event)) }
        if current.plan != site.plan {
            if current.plan >= 0 { indicesOfPlan[current.plan] = current.indices }
            current = (site.plan, indicesOfPlan.removeValue(forKey: site.plan) ?? [])
        }
        if site.step < current.indices.count, current.indices[site.step] >= 0 { return Int(current.indices[site.step]) }
        let missing = site.step + 1 - current.indices.count
        if missing > 0 { current.indices += Array(repeating: -1, count: missing) }
        sightings.append(Sighting(event))
        current.indices[site.step] = Int32(sightings.count - 1)
        return sightings.count - 1
    }

    private func index(of sighting: Sighting) -> Int {
        if let known = indexOfSighting[sighting] { return known }
        indexOfSighting[sighting] = sightings.count
        sightings.append(sighting)
        return sightings.count - 1
    }

    private func thread() -> Int {
        #if canImport(Darwin)
            let handle = UInt(bitPattern: pthread_self())
        #else
            let handle = UInt(pthread_self())
        #endif
        if let lastThread, lastThread.handle == handle { return lastThread.index }
        let index = threads[handle] ?? threads.count
        threads[handle] = index
        lastThread = (handle, index)
        return index
    }
}

extension Profile.Sighting {
    fileprivate init(_ event: NodeEvent) {
        self.init(
            node: event.node, kernel: event.kernelName, inputs: event.inputs.map(Profile.Signature.init),
            outputs: event.outputs.map(Profile.Signature.init), depth: event.depth)
    }
}

extension Profile.NodeRecord {
    fileprivate init(_ sighting: Profile.Sighting) {
        let identity = sighting.node.identity
        let isPlain = identity.domain.isEmpty || identity.domain == OperatorIdentity.fusionDomain
        let cost =
            sighting.node.operation?.cost(inputs: sighting.inputs.map(\.fact), outputs: sighting.outputs.map(\.fact)) ?? Cost()
        self.init(
            name: sighting.node.name, type: isPlain ? identity.type : "\(identity.domain).\(identity.type)",
            kernel: sighting.kernel, path: NodeHierarchy.path(of: sighting.node), fusion: sighting.node.fusion,
            inputs: sighting.inputs.map(\.text), outputs: sighting.outputs.map(\.text), flops: cost.flops, bytes: cost.bytes,
            depth: sighting.depth)
    }
}
