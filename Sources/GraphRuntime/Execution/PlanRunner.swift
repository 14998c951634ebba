import Dispatch

/// Walks a plan.
struct PlanRunner {
    let plan: Plan
    let threads: ThreadPool
    let observer: (any RunObserver)?
    private let subgraphs: any SubgraphRunner
    private let files: MappedFiles
    private let depth: Int

    /// - Parameters:
    ///   - files: those of the model, which are checked after each node.
    ///   - depth: how deep in subgraphs the plan's graph is.
    init(plan: Plan, threads: ThreadPool, observer: (any RunObserver)?, files: MappedFiles, depth: Int = 0) {
        self.plan = plan
        self.threads = threads
        self.observer = observer
        self.files = files
        self.depth = depth
        subgraphs = GraphRunner(threads: threads, observer: observer, depth: depth + 1, runBytes: plan.runBytes)
    }

    /// - Parameter bindings: a value for each input of the graph.
    /// - Returns: the graph's outputs, in its order.
    func run(_ bindings: [ValueID: Value]) throws -> [Value] {
        guard let observer, depth == 0 else { return try walk(bindings) }
        observer.willRun(plan.graph)
        let start = DispatchTime.now().uptimeNanoseconds
        let outputs = try walk(bindings)
        observer.didRun(
            Section(name: plan.graph.name, kind: .run, start: start, end: DispatchTime.now().uptimeNanoseconds))
        return outputs
    }

    private func walk(_ bindings: [ValueID: Value]) throws -> [Value] {
        defer { plan.pages?.didEnd() }
        return try plan.withFrame { frame in
            for (id, value) in bindings { frame.values[id] = value }
            let steady = plan.steadyInputs.compactMap { bindings[$0]?.tensor }
            let isKept = frame.holdsResults(of: steady)
            // A run that fails may leave them half made.
            frame.setSteady([])
            for index in plan.steps.indices where !(isKept && plan.steps[index].isSteady) {
                try Task.checkCancellation()
                plan.pages?.willRun(index)
                try run(index, frame)
                try files.requireWhole()
                plan.pages?.didRun(index)
                for id in plan.steps[index].releases { frame.values[id] = nil }
            }
            frame.setSteady(steady)
            return try plan.graph.outputs.map { id in
                guard let value = frame.values[id] else {
                    throw GraphError("the output \"\(plan.graph.values[id].name)\" was not computed")
                }
                return value
            }
        }
    }

    private func run(_ index: Int, _ frame: Frame) throws {
        // Field by field: a copy of the step would touch every array of its node, and most lie in memory that is far away.
        let operation = plan.steps[index].operation
        let ids = plan.steps[index].node.outputs
        if case .view = operation.outputStorage, let output = ids.first ?? nil, frame.values[output] != nil {
            // A view of what is in the arena is there from the start.
            return
        }
        let inputs = plan.steps[index].node.inputs.map { id in id.flatMap { frame.values[$0] } }
        let captures = plan.steps[index].node.captures.compactMap { frame.values[$0] }
        guard plan.steps[index].isFixed, !operation.isView else {
            let runner = NodeRunner(
                threads: threads, observer: observer, depth: depth, runBytes: plan.runBytes, subgraphs: subgraphs(of: index))
            let results = try runner.run(plan.steps[index].node, operation, inputs: inputs, captures: captures)
            for (id, value) in zip(ids, results) { if let id { frame.values[id] = try value.map(frame.detached) } }
            return
        }
        do {
            if plan.steps[index].isUnchecked { try check(plan.steps[index], inputs: inputs) }
            let allocated = observer == nil ? 0 : TensorStorage.allocatedBytes
            let start = observer == nil ? 0 : DispatchTime.now().uptimeNanoseconds
            let places = try storage(index, frame)
            let results = try operation.produce(
                inputs: inputs, captures: captures, outputs: places, threads: threads, subgraphs: subgraphs(of: index))
            for (output, id) in ids.enumerated() {
                if let id { frame.values[id] = try settle(results[output], in: places[output]?.tensor) }
            }
            if let observer {
                let end = DispatchTime.now().uptimeNanoseconds
                observer.didRun(
                    NodeEvent(
                        place: .step(plan, index), kernelName: plan.steps[index].kernelName, start: start, end: end,
                        inputs: inputs, outputs: results, depth: depth,
                        allocatedBytes: TensorStorage.allocatedBytes - allocated + plan.steps[index].arenaBytes,
                        isFixed: !plan.steps[index].isUnchecked))
            }
        } catch {
            throw RunError(node: plan.steps[index].node, inputs: inputs.map { $0?.kind }, underlying: error)
        }
    }

    /// What runs the graphs of a step, if it has any.
    private func subgraphs(of index: Int) -> any SubgraphRunner {
        guard let plans = plan.steps[index].subgraphs else { return subgraphs }
        return PlannedSubgraphs(
            plans: plans, threads: threads, observer: observer, depth: depth + 1, runBytes: plan.runBytes, files: files)
    }

    /// Checks what only the run tells, where the plan knew the outputs' shapes without all of the inputs'.
    private func check(_ step: Plan.Step, inputs: [Value?]) throws {
        let outputs = try step.node.inferOutputs(step.operation, inputs.map { $0.map { Fact($0) } })
        for (id, fact) in zip(step.node.outputs, outputs) {
            guard let id, let shape = fact.shape, let dtype = fact.dtype else { continue }
            guard shape == plan.facts[id].shape, dtype == plan.facts[id].dtype else {
                throw GraphError("the output should be \(plan.facts[id].summary), found \(fact.summary)")
            }
        }
    }

    /// Brings a result to its planned place, where the operator handed out another tensor: views of the place, and the end of the
    /// memory that the other tensor may share, are already decided.
    private func settle(_ result: Value?, in place: Tensor?) throws -> Value? {
        guard let place, let result else { return result }
        let tensor = try result.asTensor()
        if tensor.storage === place.storage, tensor.byteOffset == place.byteOffset { return result }
        guard tensor.shape == place.shape else {
            throw GraphError("the output should have shape \(place.shape), found \(tensor.shape)")
        }
        let target = MutableTensor(place)
        try target.copy(from: tensor)
        return .tensor(try target.finish())
    }

    /// The step's outputs: those in the arena, and new memory for those that outlive the run.
    private func storage(_ index: Int, _ frame: Frame) throws -> [MutableTensor?] {
        var outputs = frame.outputs[index].map { $0.map { MutableTensor($0) } }
        for (output, id) in plan.steps[index].node.outputs.enumerated() {
            guard let id, plan.locations[id] == .heap, let dtype = plan.facts[id].dtype, let shape = plan.facts[id].shape else {
                continue
            }
            outputs[output] = try MutableTensor(dtype: dtype, shape: shape)
        }
        return outputs
    }
}

extension Operator {
    var isView: Bool { if case .view = outputStorage { true } else { false } }
}
