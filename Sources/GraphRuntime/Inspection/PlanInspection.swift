/// What a session decided for inputs of given shapes, for looking at: the graph after the passes, the kernels, the memory.
public struct PlanInspection: Sendable {
    /// A node in the order in which it runs.
    public struct Step: Sendable {
        /// The node as it runs, with what a fusion made of it.
        public let node: Node
        /// See ``Operator/kernelName(inputs:outputs:)``.
        public let kernel: String?
        /// Whether it is only another shape of its input, and nothing runs.
        public let isView: Bool
        /// Whether its result is kept for runs with the same steady inputs, see ``SessionOptions/steadyInputs``.
        public let isSteady: Bool
    }

    /// A piece of the arena.
    public struct Block: Sendable {
        /// The name of the value that is there first; others may be written over it.
        public let value: String
        /// Its size in bytes.
        public let byteCount: Int
        /// The step that writes it; 0 for an input.
        public let first: Int
        /// The step that reads it last; the number of steps for an output, and for what stays for the next run.
        public let last: Int
        /// Where it begins in the arena, in bytes.
        public let offset: Int
    }

    /// The graph after the passes.
    public let graph: Graph
    /// What is known of each of its values.
    public let facts: [Fact]
    /// The nodes in the order in which they run.
    public let steps: [Step]
    /// The pieces of the arena.
    public let blocks: [Block]
    /// Bytes of the arena: more than the blocks that live at one time, less than all of them.
    public let arenaByteCount: Int
    /// What the fusions did, and where they nearly fired.
    public let fusions: FusionReport

    init(_ plan: Plan) {
        graph = plan.graph
        facts = plan.facts
        steps = plan.steps.map {
            Step(node: $0.node, kernel: $0.kernelName, isView: $0.operation.isView, isSteady: $0.isSteady)
        }
        blocks = plan.blocks.map {
            Block(
                value: plan.graph.values[$0.value].name, byteCount: $0.byteCount, first: $0.first, last: $0.last,
                offset: $0.offset)
        }
        arenaByteCount = plan.arenaByteCount
        fusions = plan.fusionReport
    }

    /// Bytes of the arena that are in use at each step.
    public var liveBytes: [Int] {
        var changes = [Int](repeating: 0, count: steps.count + 1)
        for block in blocks where block.first < steps.count {
            changes[block.first] += block.byteCount
            if block.last + 1 < steps.count { changes[block.last + 1] -= block.byteCount }
        }
        var live = 0
        return changes.prefix(steps.count).map { change in
            live += change
            return live
        }
    }
}
