import Dispatch
import Synchronization

/// How a graph runs for one set of input shapes: the order, where each value lives, and the kernel of each node.
final class Plan: Sendable {
    /// One node's place in the run.
    struct Step: Sendable {
        let node: Node
        let operation: any Operator
        /// Whether all outputs have known shapes; otherwise the node is decided on just before it runs.
        let isFixed: Bool
        /// Whether the shapes of some inputs of a fixed step are only known at run time, and wait to be checked.
        let isUnchecked: Bool
        /// Whether the outputs depend on steady inputs alone, and stay for runs with the same ones.
        let isSteady: Bool
        /// Values outside of the arena that nobody reads after this step.
        let releases: [ValueID]
        /// See ``Operator/kernelName(inputs:outputs:)``.
        let kernelName: String?
        /// Bytes of the outputs that have a place in the arena which no input had before.
        let arenaBytes: Int
        /// The plans of the node's graphs; nil where it has none, or they run node by node.
        var subgraphs: SubgraphPlans?
    }

    /// Where a value lives.
    enum Location: Sendable, Equatable {
        /// It isn't there before the run: a large input of the graph, or a value of unknown shape.
        case bound
        case constant
        /// Memory of its own for each run: large outputs of the graph.
        case heap
        case arena(offset: Int)
        /// Another value under another shape.
        case view(of: ValueID)
    }

    /// A piece of the arena, and the steps from the one that writes it to the last that reads it.
    struct Block: Sendable {
        /// The value that is there first; others may be written over it.
        let value: ValueID
        let byteCount: Int
        let first: Int
        let last: Int
        let offset: Int
    }

    let graph: Graph
    let facts: [Fact]
    let blocks: [Block]
    let steps: [Step]
    let locations: [Location]
    let arenaByteCount: Int
    let fusionCounts: [String: Int]
    /// Nil where memory is spared.
    let constants: PackedConstants?
    /// The inputs that ``Step/isSteady`` is about.
    let steadyInputs: [ValueID]
    /// Nil where memory isn't spared.
    let pages: WeightPages?
    /// See ``ResourceLimits/runBytes``.
    let runBytes: Int?
    /// The last of ``steps``, where they depend on shapes that only a run shows.
    let deferred: DeferredSteps?
    /// Bytes of the outputs that each run gets memory of its own for.
    private let outputByteCount: Int
    /// Tells plans apart; no two of a process have the same.
    let number: Int
    /// Seconds that inferring, folding and fusing took, and those of placing values and choosing kernels.
    let seconds: (specialise: Double, plan: Double)
    private let optimized: OptimizedGraph
    private let optimizer: Optimizer?
    private let context: PlanContext
    private let frames = Mutex<[Frame]>([])
    private static let numbers = Atomic<Int>(0)

    /// - Parameters:
    ///   - steadyInputs: see ``SessionOptions/steadyInputs``.
    ///   - context: what operators choose their kernels by.
    ///   - runBytes: see ``ResourceLimits/runBytes``.
    ///   - specialiseSeconds: what making the optimised graph took.
    ///   - level: how many plans it is a deferred part of.
    init(
        _ optimized: OptimizedGraph, steadyInputs: [ValueID], context: PlanContext, runBytes: Int? = nil,
        specialiseSeconds: Double = 0, optimizer: Optimizer? = nil, level: Int = 0
    ) throws {
        let start = DispatchTime.now().uptimeNanoseconds
        number = Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue
        let split = optimizer.flatMap { optimizer in
            steadyInputs.isEmpty
                ? DeferredSteps.split(optimized, optimizer: optimizer, context: context, runBytes: runBytes, level: level) : nil
        }
        let optimized = split?.0 ?? optimized
        deferred = split?.1
        (self.optimized, self.optimizer, self.context) = (optimized, optimizer, context)
        let planner = try Planner(optimized, steadyInputs: Set(steadyInputs), context: context)
        self.steadyInputs = steadyInputs
        self.runBytes = runBytes
        let outputs = Set(planner.graph.outputs)
        outputByteCount = Fact.byteCount(
            planner.locations.indices.filter { id in
                switch planner.locations[id] {
                case .heap: true
                case .arena: outputs.contains(id)
                case .bound, .constant, .view: false
                }
            }.map { planner.facts[$0] })
        graph = planner.graph
        facts = planner.facts
        steps = planner.steps.map { step in
            Self.withSubgraphs(step, of: planner.graph, optimizer: optimizer, context: context, runBytes: runBytes)
        }
        blocks = planner.blocks
        locations = planner.locations
        arenaByteCount = planner.arenaByteCount
        fusionCounts = optimized.fusionCounts
        constants = context.constants
        for tensor in planner.graph.initializers.values where context.constants?.holdsForm(of: tensor) != true {
            // Steps read the elements: here the lack of memory is an error.
            _ = try tensor.storage.deferred?.pinned()
        }
        pages = constants == nil ? WeightPages(planner.graph) : nil
        seconds = (specialiseSeconds, Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9)
    }

    /// The same plan with another constant.
    private init(_ plan: Plan, replacing id: ValueID, with tensor: Tensor) {
        number = Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue
        var (optimized, graph, facts) = (plan.optimized, plan.graph, plan.facts)
        optimized.graph.initializers[id] = tensor
        optimized.facts[id] = Fact(.tensor(tensor))
        graph.initializers[id] = tensor
        facts[id] = Fact(.tensor(tensor))
        (self.optimized, self.graph, self.facts) = (optimized, graph, facts)
        (optimizer, context) = (plan.optimizer, plan.context)
        steps = plan.steps.map { step in
            guard step.node.reads.contains(id) else { return step }
            return Self.withSubgraphs(
                step, of: graph, optimizer: plan.optimizer, context: plan.context, runBytes: plan.runBytes)
        }
        (blocks, locations, arenaByteCount) = (plan.blocks, plan.locations, plan.arenaByteCount)
        (fusionCounts, steadyInputs, pages, runBytes) = (plan.fusionCounts, plan.steadyInputs, plan.pages, plan.runBytes)
        (outputByteCount, seconds, constants) = (plan.outputByteCount, plan.seconds, plan.constants)
        // Nothing is deferred where constants may be replaced, see DeferredSteps.split.
        deferred = nil
    }

    /// The same plan with another constant of the same type and shape; nil where something was computed of it ahead. The packed forms of
    /// the constant are shared.
    ///
    /// - Throws: ``TensorError`` where there is no memory for elements that steps read.
    func replacing(_ id: ValueID, with tensor: Tensor) throws(TensorError) -> Plan? {
        guard let old = graph.initializers[id], graph.nodes.contains(where: { $0.reads.contains(id) }) else { return nil }
        if let before = old.storage.deferred { if before.isPinned { _ = try tensor.storage.deferred?.pinned() } }
        return Plan(self, replacing: id, with: tensor)
    }

    /// A step with plans for its graphs, which are yet to be made. Where memory is spared, graphs run node by node.
    private static func withSubgraphs(
        _ step: Step, of graph: Graph, optimizer: Optimizer?, context: PlanContext, runBytes: Int?
    ) -> Step {
        guard let optimizer, context.constants != nil, !step.node.attributes.graphs.isEmpty else { return step }
        var result = step
        result.subgraphs = SubgraphPlans(step.node, of: graph, optimizer: optimizer, context: context, runBytes: runBytes)
        return result
    }

    /// What the fusions did.
    var fusionReport: FusionReport {
        optimizer?.report(optimized) ?? FusionReport(counts: optimized.fusionCounts, fired: [], misses: [])
    }

    /// Calls `body` with memory for one run; runs at the same time get one each.
    func withFrame<Result>(_ body: (Frame) throws -> Result) throws -> Result {
        let frame = try frames.withLock { $0.popLast() } ?? makeFrame()
        defer { frames.withLock { $0.append(frame) } }
        return try body(frame)
    }

    /// - Throws: ``GraphError`` where the run would take more than it may.
    private func makeFrame() throws -> Frame {
        let (bytes, overflow) = arenaByteCount.addingReportingOverflow(outputByteCount)
        try ResourceLimits.requireRunBytes(overflow ? .max : bytes, within: runBytes)
        return try Frame(self)
    }

    /// Gives back the memory that is kept for the next run.
    func releaseMemory() {
        frames.withLock { $0 = [] }
        for step in steps { step.subgraphs?.releaseMemory() }
        deferred?.releaseMemory()
    }
}
