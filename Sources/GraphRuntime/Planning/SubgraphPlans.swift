import Synchronization

/// The plans of one node's graphs, such as the body of a loop, for values of the types and shapes that they ran on.
///
/// Constants of the graph around the node are constants of its graphs too, so that shapes that follow from them are known and weights
/// are packed: those that a graph captures, and those that a loop hands on from turn to turn as they are.
final class SubgraphPlans: Sendable {
    private struct Key: Equatable {
        let graph: ObjectIdentifier
        let inputs: [PlanKey]
        let captures: [PlanKey]
    }

    private struct State {
        /// In the order of their last use; nil where a graph can't be planned.
        var plans: [(key: Key, plan: Plan?)] = []
        var madeCount = 0
        var useCount = 0
    }

    private let state = Mutex(State())
    private let optimizer: Optimizer
    private let context: PlanContext
    private let runBytes: Int?
    /// For each of the node's captures the tensor that it is in every run, nil where that differs.
    private let constants: [Tensor?]
    /// Those among the node's inputs.
    private let inputConstants: [Tensor]

    private static let keptCount = 8
    /// A loop whose values grow would be planned anew in every turn: plans beyond these are made as far as others are used again.
    private static let unusedCount = 4
    private static let usesPerPlan = 4

    /// - Parameters:
    ///   - node: the node whose graphs they are.
    ///   - graph: the graph around it.
    init(_ node: Node, of graph: Graph, optimizer: Optimizer, context: PlanContext, runBytes: Int?) {
        (self.optimizer, self.context, self.runBytes) = (optimizer, context, runBytes)
        constants = node.captures.map { graph.initializers[$0] }
        inputConstants = node.inputs.compactMap { id in id.flatMap { graph.initializers[$0] } }
    }

    /// The plan for these values; nil where the graph should run node by node.
    ///
    /// - Parameter captures: all values that the node captures.
    func plan(for subgraph: Subgraph, inputs: [Value], captures: [Value]) -> Plan? {
        let constants = constants[subgraph.captureRange]
        let captures = captures[subgraph.captureRange]
        let (known, found) = state.withLock { state -> (Bool, Plan?) in
            guard let index = state.plans.lastIndex(where: { isKey($0.key, of: subgraph, inputs, captures, constants) }) else {
                return (false, nil)
            }
            if index < state.plans.count - 1 { state.plans.append(state.plans.remove(at: index)) }
            state.useCount += 1
            return (true, state.plans.last?.plan)
        }
        if known { return found }
        let isWorthwhile = state.withLock { state in
            guard state.madeCount < Self.unusedCount + state.useCount / Self.usesPerPlan else { return false }
            state.madeCount += 1
            return true
        }
        guard isWorthwhile else { return nil }
        let key = Key(
            graph: ObjectIdentifier(subgraph.identity),
            inputs: zip(subgraph.graph.inputs, inputs).map { inputKey($0, $1, of: subgraph.graph) },
            captures: zip(captures, constants).map { captureKey($0, constant: $1) })
        // What doesn't fit is an error of the node that it doesn't fit, when that runs.
        let plan = try? makePlan(subgraph.graph, inputs, zip(captures, constants))
        state.withLock { state in
            state.plans.append((key, plan))
            if state.plans.count > Self.keptCount { state.plans.removeFirst() }
        }
        return plan
    }

    /// Whether a key is the one of these values: compared in place, since each turn of a loop asks.
    private func isKey(
        _ key: Key, of subgraph: Subgraph, _ inputs: [Value], _ captures: ArraySlice<Value>, _ constants: ArraySlice<Tensor?>
    ) -> Bool {
        key.graph == ObjectIdentifier(subgraph.identity)
            && key.inputs.indices.allSatisfy {
                key.inputs[$0] == inputKey(subgraph.graph.inputs[$0], inputs[$0], of: subgraph.graph)
            }
            && zip(key.captures, zip(captures, constants)).allSatisfy { $0 == captureKey($1.0, constant: $1.1) }
    }

    private func captureKey(_ value: Value, constant: Tensor?) -> PlanKey { constant == nil ? PlanKey(value) : .modelDefault }

    /// What a plan holds for as to an input: the very tensor where the graph hands on a constant that the node was given.
    private func inputKey(_ id: ValueID, _ value: Value, of graph: Graph) -> PlanKey {
        guard graph.outputs.contains(id), case .tensor(let tensor) = value,
            inputConstants.contains(where: { $0.storage === tensor.storage && $0.byteOffset == tensor.byteOffset })
        else { return PlanKey(value) }
        return .constant(ObjectIdentifier(tensor.storage), byteOffset: tensor.byteOffset, tensor.dtype, tensor.shape)
    }

    private func makePlan(
        _ graph: Graph, _ inputs: [Value], _ captures: Zip2Sequence<ArraySlice<Value>, ArraySlice<Tensor?>>
    ) throws -> Plan {
        var graph = graph
        var facts: [ValueID: Fact] = [:]
        for (id, value) in zip(graph.inputs, inputs) {
            facts[id] = Fact(value).withoutValue
            // A default that the file may have for the input.
            graph.initializers[id] = nil
            if case .constant = inputKey(id, value, of: graph), case .tensor(let tensor) = value {
                facts[id] = Fact(value)
                graph.initializers[id] = tensor
            }
        }
        for (id, (value, constant)) in zip(graph.captures, captures) {
            graph.initializers[id] = constant
            if constant == nil { facts[id] = Fact(value).withoutValue }
        }
        graph.captures.removeAll { graph.initializers[$0] != nil }
        return try Plan(
            optimizer.optimize(graph, inputFacts: facts), steadyInputs: [], context: context, runBytes: runBytes,
            optimizer: optimizer)
    }

    /// Gives back the memory that is kept for the next run.
    func releaseMemory() { state.withLock { for (_, plan) in $0.plans { plan?.releaseMemory() } } }
}
