/// Decides where each value of an optimised graph lives and which kernel each node uses.
struct Planner {
    let graph: Graph
    let facts: [Fact]
    private(set) var steps: [Plan.Step] = []
    private(set) var locations: [Plan.Location]
    private(set) var arenaByteCount = 0
    private(set) var blocks: [Plan.Block] = []

    /// For each value the one whose memory it shares: itself, or what it is a view of or written over.
    private var roots: [ValueID]
    /// By root, the other values that share its memory.
    private var members: [ValueID: [ValueID]] = [:]
    /// The last step at which the memory of a root is read.
    private var lastRead: [Int]
    /// By node, whether its outputs have places before the run: those that share memory, and those in the arena.
    private var isPlaced: [Bool]
    /// By node, see ``Plan/Step/isSteady``.
    private var isSteady: [Bool]
    /// The inputs and outputs with places in the arena, see ``findSmallValues(escaping:)``.
    private var smallValues: Set<ValueID> = []

    /// - Parameter context: see ``Operator/specialised(inputs:outputs:plan:)``.
    init(_ optimized: OptimizedGraph, steadyInputs: Set<ValueID> = [], context: PlanContext = PlanContext()) throws {
        graph = optimized.graph
        facts = optimized.facts
        locations = Array(repeating: .bound, count: graph.values.count)
        roots = Array(graph.values.indices)
        lastRead = Array(repeating: -1, count: graph.values.count)
        isPlaced = Array(repeating: false, count: graph.nodes.count)
        isSteady = Array(repeating: false, count: graph.nodes.count)
        for id in graph.initializers.keys { locations[id] = .constant }
        let operations = try graph.nodes.map { try specialise($0, context) }
        shareViews(operations)
        findLastReads()
        let escaping = escapingRoots()
        findSteadyNodes(operations, inputs: steadyInputs, escaping: escaping)
        replaceInputs(operations, escaping: escaping)
        smallValues = findSmallValues(escaping: escaping).subtracting(steadyInputs)
        try placeValues(operations, escaping: escaping)
        makeSteps(operations)
    }

    private func specialise(_ node: Node, _ context: PlanContext) throws -> any Operator {
        guard let operation = node.operation else { throw GraphError("\(node.title) isn't resolved") }
        let inputs = node.inputs.map { id in id.map { facts[$0] } }
        do {
            return try operation.specialised(
                inputs: inputs, outputs: node.outputs.map { id in id.map { facts[$0] } }, plan: context)
        } catch {
            throw RunError(node: node, inputs: inputs.map { $0?.summary }, underlying: error)
        }
    }

    private func isFixed(_ node: Node) -> Bool {
        node.outputs.allSatisfy { id in
            guard let id else { return true }
            return facts[id].shape != nil && facts[id].dtype != nil && facts[id].dtype != .string
        }
    }

    private mutating func shareViews(_ operations: [any Operator]) {
        for (index, (node, operation)) in zip(graph.nodes, operations).enumerated() {
            // A view of what only the run shows has no place before, even if its shape is known.
            isPlaced[index] = isFixed(node) && !operation.isView
            guard case .view(let input) = operation.outputStorage, input < node.inputs.count,
                let source = node.inputs[input], let output = node.outputs.first ?? nil, facts[output].shape != nil,
                facts[source].shape != nil
            else { continue }
            roots[output] = roots[source]
            members[roots[source], default: []].append(output)
            locations[output] = .view(of: source)
            isPlaced[index] = isFixed(node)
        }
    }

    private mutating func findLastReads() {
        for (index, node) in graph.nodes.enumerated() {
            for id in node.reads { lastRead[roots[id]] = index }
            for case let id? in node.outputs { lastRead[roots[id]] = max(lastRead[roots[id]], index) }
        }
    }

    /// The memory that outlives the run: that of the graph's outputs.
    private func escapingRoots() -> Set<ValueID> { Set(graph.outputs.map { roots[$0] }) }

    /// Finds the nodes that depend on steady inputs alone, and keeps those of their results that other nodes read to the end: in an
    /// arena that is used again, they are there in the next run.
    private mutating func findSteadyNodes(_ operations: [any Operator], inputs: Set<ValueID>, escaping: Set<ValueID>) {
        guard !inputs.isEmpty else { return }
        var steady = inputs
        var kept: Set<ValueID> = []
        for (index, node) in graph.nodes.enumerated() {
            let reads = node.reads.filter { locations[$0] != .constant }
            let dependsOnSteady = !reads.isEmpty && reads.allSatisfy { steady.contains($0) }
            if case .view? = (node.outputs.first ?? nil).map({ locations[$0] }) {
                // It reads nothing itself: its readers do.
                if dependsOnSteady { steady.formUnion(node.outputs.compactMap { $0 }) }
                continue
            }
            let outputs = node.outputs.compactMap { $0 }
            isSteady[index] =
                dependsOnSteady && isFixed(node) && operations[index].isDeterministic && node.attributes.graphs.isEmpty
                && !operations[index].isView && !outputs.contains { escaping.contains($0) }
            if isSteady[index] { steady.formUnion(outputs) }
            if !isSteady[index] { kept.formUnion(reads.map { roots[$0] }) }
        }
        for node in zip(graph.nodes, isSteady).filter(\.1).map(\.0) {
            for case let id? in node.outputs where kept.contains(roots[id]) { lastRead[roots[id]] = graph.nodes.count }
        }
    }

    /// Lets an output take the place of an input that nobody reads afterwards, where the operator allows it.
    private mutating func replaceInputs(_ operations: [any Operator], escaping: Set<ValueID>) {
        var produced = Set<ValueID>()
        for (index, node) in graph.nodes.enumerated() {
            // Nodes of unknown shapes have no place in the arena, not even for those outputs whose shape is known.
            defer { if isPlaced[index] { for case let id? in node.outputs { produced.insert(id) } } }
            guard case .mayReplace(let candidates) = operations[index].outputStorage, isFixed(node),
                let output = node.outputs.first ?? nil, !escaping.contains(output), roots[output] == output
            else { continue }
            for candidate in candidates where candidate < node.inputs.count {
                guard let input = node.inputs[candidate] else { continue }
                let root = roots[input]
                // The memory must be the run's own, as large, and read here for the last time and by this input alone.
                guard produced.contains(root), !escaping.contains(root), lastRead[root] == index,
                    let shape = facts[input].shape, let dtype = facts[input].dtype,
                    shape.count == facts[output].shape?.count, dtype.bitWidth == facts[output].dtype?.bitWidth,
                    facts[root].shape?.count == shape.count, facts[root].dtype?.bitWidth == dtype.bitWidth,
                    node.reads.filter({ roots[$0] == root }).allSatisfy({ $0 == input })
                else { continue }
                merge(output, into: root)
                break
            }
        }
    }

    private mutating func merge(_ output: ValueID, into root: ValueID) {
        let end = max(lastRead[output], lastRead[root])
        let moved = [output] + (members.removeValue(forKey: output) ?? [])
        for id in moved { roots[id] = root }
        members[root, default: []] += moved
        lastRead[root] = end
    }

    /// Bytes of an input or output that are copied in less time than it takes to look for the operands of a node.
    private static let smallByteCount = 4096

    /// The small inputs that nodes read, and the small outputs of nodes that have places: they are copied into the arena and out of it, so
    /// that more steps have all of their operands before the run.
    private func findSmallValues(escaping: Set<ValueID>) -> Set<ValueID> {
        func isSmall(_ id: ValueID) -> Bool {
            guard let dtype = facts[id].dtype, dtype != .string, let shape = facts[id].shape,
                let byteCount = dtype.byteCount(of: shape.count)
            else { return false }
            return byteCount <= Self.smallByteCount
        }
        let inputs = (graph.inputs + graph.captures).filter { id in
            locations[id] == .bound && lastRead[id] >= 0 && isSmall(id)
        }
        let outputs = zip(graph.nodes, isPlaced).filter(\.1).flatMap { node, _ in
            node.outputs.compactMap { $0 }.filter { escaping.contains($0) && roots[$0] == $0 && isSmall($0) }
        }
        return Set(inputs + outputs)
    }

    /// - Throws: ``GraphError`` where the sum of all values' bytes overflows.
    private mutating func placeValues(_ operations: [any Operator], escaping: Set<ValueID>) throws(GraphError) {
        var blocks: [ArenaLayout.Block] = []
        var blockOfRoot: [ValueID: Int] = [:]
        let captures = Set(graph.captures)
        for id in captures.union(graph.inputs).intersection(smallValues).sorted() {
            guard let byteCount = facts[id].dtype?.byteCount(of: facts[id].shape?.count ?? 0) else { continue }
            blockOfRoot[id] = blocks.count
            // What is captured stays for the next turn of a loop.
            let last = escaping.contains(id) || captures.contains(id) ? graph.nodes.count : lastRead[id]
            blocks.append(ArenaLayout.Block(byteCount: byteCount, first: 0, last: last))
        }
        for (index, node) in graph.nodes.enumerated() {
            for case let id? in node.outputs {
                if case .view = locations[id] { continue }
                guard isPlaced[index], let dtype = facts[id].dtype, let shape = facts[id].shape,
                    let byteCount = dtype.byteCount(of: shape.count)
                else { continue }
                if escaping.contains(id), !smallValues.contains(id) {
                    locations[id] = .heap
                } else if roots[id] == id {
                    blockOfRoot[id] = blocks.count
                    // What stays for the next run is there from its start; a small output stays until it is copied.
                    let first = lastRead[id] == graph.nodes.count ? 0 : index
                    let last = smallValues.contains(id) ? graph.nodes.count : max(lastRead[id], index)
                    blocks.append(ArenaLayout.Block(byteCount: byteCount, first: first, last: last))
                }
            }
        }
        let (total, isTooLarge) = blocks.reduce(into: (0, false)) { sum, block in
            let (next, overflow) = sum.0.addingReportingOverflow(ArenaLayout.aligned(block.byteCount))
            sum = (next, sum.1 || overflow)
        }
        guard !isTooLarge, total <= 1 << 60 else {
            throw GraphError("the values of a run take more bytes than any machine has", kind: .limit)
        }
        let layout = ArenaLayout(blocks)
        arenaByteCount = layout.byteCount
        self.blocks = blockOfRoot.sorted { $0.value < $1.value }.map { id, index in
            Plan.Block(
                value: id, byteCount: blocks[index].byteCount, first: blocks[index].first, last: blocks[index].last,
                offset: layout.offsets[index])
        }
        for id in graph.inputs + graph.captures {
            if let block = blockOfRoot[id] { locations[id] = .arena(offset: layout.offsets[block]) }
        }
        for (index, node) in graph.nodes.enumerated() {
            for case let id? in node.outputs where locations[id] == .bound {
                if let block = blockOfRoot[roots[id]], isPlaced[index] { locations[id] = .arena(offset: layout.offsets[block]) }
            }
        }
    }

    private mutating func makeSteps(_ operations: [any Operator]) {
        let (lastUses, captures) = (graph.lastUses(), Set(graph.captures))
        for (index, node) in graph.nodes.enumerated() {
            let releases = lastUses[index].filter { id in
                // They are there for the next turn too, and who runs the graph holds them.
                if captures.contains(id) { return false }
                return switch locations[id] {
                case .bound, .heap: true
                case .view, .constant, .arena: false
                }
            }
            let inputs = node.inputs.map { id in id.map { facts[$0] } }
            let outputs = node.outputs.map { id in id.map { facts[$0] } }
            steps.append(
                Plan.Step(
                    node: node, operation: operations[index], isFixed: isFixed(node),
                    isUnchecked: node.inputs.contains { id in id.map { facts[$0].shape == nil } ?? false },
                    isSteady: isSteady[index], releases: releases,
                    kernelName: operations[index].kernelName(inputs: inputs, outputs: outputs), arenaBytes: arenaBytes(node)))
        }
    }

    /// Bytes of a node's outputs that lie in the arena, in a place of their own.
    private func arenaBytes(_ node: Node) -> Int {
        node.outputs.reduce(0) { sum, id in
            guard let id, case .arena = locations[id], roots[id] == id, let dtype = facts[id].dtype, let shape = facts[id].shape
            else { return sum }
            return sum + (dtype.byteCount(of: shape.count) ?? 0)
        }
    }
}
