import Synchronization

/// The last steps of a plan, which depend on values whose shapes only a run shows, such as what NonZero or If hands on. When these are there,
/// the steps' nodes are a graph of known shapes: it gets a plan of its own for each combination, with fusions, packed weights and places in an
/// arena. A plan whose shapes change with every run keeps to its own steps.
final class DeferredSteps: Sendable {
    private struct State {
        /// In the order of their last use; nil where the graph can't be planned.
        var plans: [(key: [PlanKey], plan: Plan?)] = []
        /// What came last without a plan.
        var missed: [[PlanKey]] = []
        var madeCount = 0

        /// Whether a plan is to be made: for the first few, and for what comes again.
        mutating func isWorthwhile(_ key: [PlanKey]) -> Bool {
            if let index = missed.firstIndex(of: key) {
                missed.remove(at: index)
            } else if madeCount >= DeferredSteps.unusedCount {
                missed.append(key)
                if missed.count > DeferredSteps.missedCount { missed.removeFirst() }
                return false
            }
            madeCount += 1
            return true
        }
    }

    /// The index of the first.
    let first: Int
    /// What they compute: its values are those of the plan's graph, its inputs what they read of other steps.
    let graph: Graph
    private let optimizer: Optimizer
    private let context: PlanContext
    private let runBytes: Int?
    /// How many plans theirs is a deferred part of.
    private let level: Int
    private let state = Mutex(State())

    /// Fewer nodes run as fast each by itself, unless they read weights, which a plan has packed once.
    private static let (fewestNodes, fewestWeights) = (4, 1024)
    /// Plans within each other take a part of the stack each.
    private static let mostLevels = 8
    private static let keptCount = 8
    /// Plans that are made whether they are used again or not, and shapes without a plan that are remembered: fewer than plans that are kept, so
    /// that shapes which come one after the other, more than that, aren't planned in every run.
    private static let (unusedCount, missedCount) = (4, 4)

    private init(
        _ graph: Graph, first: Int, optimizer: Optimizer, context: PlanContext, runBytes: Int?, level: Int
    ) {
        (self.graph, self.first, self.level) = (graph, first, level)
        (self.optimizer, self.context, self.runBytes) = (optimizer, context, runBytes)
    }

    /// The steps of a plan that can be deferred, which come last in the graph that this returns, and whose results have no known shapes there, so
    /// that they have no places in its arena; nil where there are hardly any such steps.
    ///
    /// - Parameter level: how many plans the plan is a deferred part of.
    static func split(
        _ optimized: OptimizedGraph, optimizer: Optimizer, context: PlanContext, runBytes: Int?, level: Int
    ) -> (OptimizedGraph, DeferredSteps)? {
        guard level < mostLevels, context.constants != nil, optimized.graph.replaceable.isEmpty else { return nil }
        let whole = optimized.graph
        var isOpen = [Bool](repeating: false, count: whole.values.count)
        var (known, deferred): ([Node], [Node]) = ([], [])
        for node in whole.nodes {
            let isDeferred = node.reads.contains { isOpen[$0] }
            if isDeferred { deferred.append(node) } else { known.append(node) }
            for case let id? in node.outputs { isOpen[id] = isDeferred || optimized.facts[id].shape == nil }
        }
        let readsWeights = deferred.contains {
            $0.reads.contains { whole.initializers[$0].map { $0.count >= fewestWeights } ?? false }
        }
        guard deferred.count >= fewestNodes || readsWeights else { return nil }
        var graph = whole
        graph.nodes = deferred
        graph.captures = []
        let made = Set(deferred.flatMap { $0.outputs.compactMap { $0 } })
        graph.outputs = Array(Set(whole.outputs).intersection(made)).sorted()
        let read = Set(deferred.flatMap(\.reads))
        graph.initializers = whole.initializers.filter { read.contains($0.key) }
        graph.inputs = read.filter { !made.contains($0) && graph.initializers[$0] == nil }.sorted()
        var ordered = optimized
        ordered.graph.nodes = known + deferred
        for id in made { ordered.facts[id] = Fact(dtype: optimized.facts[id].dtype) }
        let steps = DeferredSteps(
            graph, first: known.count, optimizer: optimizer, context: context, runBytes: runBytes, level: level)
        return (ordered, steps)
    }

    /// The plan for these values, by their ids; nil where the steps should run as they are.
    func plan(for values: [Value?]) -> Plan? {
        guard graph.inputs.allSatisfy({ values[$0] != nil }) else { return nil }
        let key = graph.inputs.map { PlanKey(values[$0]) }
        let (found, isWorthwhile) = state.withLock { state -> (Plan?, Bool) in
            guard let index = state.plans.lastIndex(where: { $0.key == key }) else { return (nil, state.isWorthwhile(key)) }
            if index < state.plans.count - 1 {
                state.plans.last?.plan?.releaseMemory()
                state.plans.append(state.plans.remove(at: index))
            }
            return (state.plans.last?.plan, false)
        }
        guard isWorthwhile else { return found }
        // What doesn't fit is an error of the node that it doesn't fit, when that runs.
        let plan = try? makePlan(values)
        state.withLock { state in
            state.plans.removeAll { $0.key == key }
            // Arenas are large: only the plan in use keeps its own.
            state.plans.last?.plan?.releaseMemory()
            state.plans.append((key, plan))
            if state.plans.count > Self.keptCount { state.plans.removeFirst() }
        }
        return plan
    }

    private func makePlan(_ values: [Value?]) throws -> Plan {
        var facts: [ValueID: Fact] = [:]
        for id in graph.inputs { facts[id] = values[id].map { Fact($0).withoutValue } }
        return try Plan(
            optimizer.optimize(graph, inputFacts: facts), steadyInputs: [], context: context, runBytes: runBytes,
            optimizer: optimizer, level: level + 1)
    }

    /// Gives back the memory that is kept for the next run.
    func releaseMemory() { state.withLock { for (_, plan) in $0.plans { plan?.releaseMemory() } } }
}
