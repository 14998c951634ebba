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
    func run(_ bindings: [(id: ValueID, value: Value)]) throws -> [Value] {
        guard let observer, depth == 0 else { return try walk(bindings) }
        observer.willRun(plan.graph)
        let start = DispatchTime.now().uptimeNanoseconds
        let outputs = try walk(bindings)
        observer.didRun(
            Section(name: plan.graph.name, kind: .run, start: start, end: DispatchTime.now().uptimeNanoseconds))
        return outputs
    }

    private func walk(_ bindings: [(id: ValueID, value: Value)]) throws -> [Value] {
        defer { plan.pages?.didEnd() }
        return try plan.withFrame { frame in
            try frame.withValues { values in
                for (id, value) in bindings { try frame.bind(id, value, in: &values) }
                let steady = plan.steadyInputs.compactMap { values[$0]?.tensor }
                let isKept = frame.holdsResults(of: steady)
                // A run that fails may leave them half made.
                frame.setSteady([])
                try walk(0..<(plan.deferred?.first ?? plan.steps.count), isKept: isKept, frame, &values)
                if let deferred = plan.deferred { try run(deferred, frame, &values) }
                frame.setSteady(steady)
                return try plan.graph.outputs.map { try output($0, frame, values) }
            }
        }
    }

    private func output(_ id: ValueID, _ frame: Frame, _ values: [Value?]) throws -> Value {
        guard let value = values[id] else {
            throw GraphError("the output \"\(plan.graph.values[id].name)\" was not computed")
        }
        return try frame.detached(value)
    }

    /// Runs the plan of a loop's body turn by turn in the same memory, without a look for its plan and its values' places in each turn.
    ///
    /// - Parameters:
    ///   - bindings: a value for each input of the graph, and for what it captures.
    ///   - carried: see ``SubgraphRunner/run(_:carrying:captures:values:next:)``; ``Plan/repeats(carrying:)`` has to be true of it.
    ///   - next: as there.
    /// - Returns: the carried outputs of the last turn.
    func runRepeatedly(
        _ bindings: [(id: ValueID, value: Value)], carrying carried: CarriedValues, next: ([Value]) throws -> [Value]?
    ) throws -> [Value] {
        let (inputs, outputs) = (plan.graph.inputs, plan.graph.outputs)
        let given = inputs.indices.filter { !carried.inputs.contains($0) }
        let results = outputs.indices.filter { !carried.outputs.contains($0) }
        return try plan.withFrame { frame in
            let kept = try zip(carried.outputs, carried.inputs).filter { plan.locations[inputs[$1]] != .constant }
                .map { try frame.carriedValue(outputs[$0], to: inputs[$1]) }
            return try frame.withValues { values in
                for (id, value) in bindings { try frame.bind(id, value, in: &values) }
                while true {
                    try Task.checkCancellation()
                    try walk(plan.steps.indices, isKept: false, frame, &values)
                    guard let others = try next(results.map { try output(outputs[$0], frame, values) }) else {
                        return try outputs[carried.outputs].map { try output($0, frame, values) }
                    }
                    guard others.count == given.count else {
                        throw GraphError("a turn takes \(given.count) values beside the carried ones, found \(others.count)")
                    }
                    try frame.carry(kept, in: &values)
                    for (place, value) in zip(given, others) {
                        try requireFit(value, inputs[place])
                        try frame.bind(inputs[place], value, in: &values)
                    }
                }
            }
        }
    }

    /// - Throws: ``GraphError`` where a value isn't of the type and shape that the plan has for an input.
    private func requireFit(_ value: Value, _ input: ValueID) throws {
        guard case .tensor(let tensor) = value, tensor.dtype == plan.facts[input].dtype, tensor.shape == plan.facts[input].shape
        else {
            throw GraphError(
                "the input \"\(plan.graph.values[input].name)\" should be \(plan.facts[input].summary) in every turn, found \(value.kind)"
            )
        }
    }

    /// - Parameter isKept: whether what steady steps compute is there already.
    private func walk(_ steps: Range<Int>, isKept: Bool, _ frame: Frame, _ values: inout [Value?]) throws {
        for index in steps where !(isKept && plan.steps[index].isSteady) {
            try Task.checkCancellation()
            if let step = frame.prepared[index] {
                if let prepared = step.run {
                    try run(index, prepared, frame, values)
                    try files.requireWhole()
                }
                for id in step.releases { values[id] = nil }
                continue
            }
            plan.pages?.willRun(index)
            try run(index, frame, &values)
            try files.requireWhole()
            plan.pages?.didRun(index)
            for id in plan.steps[index].releases { values[id] = nil }
        }
    }

    /// Runs the steps whose shapes are known by now, by a plan of their own if there is one.
    private func run(_ deferred: DeferredSteps, _ frame: Frame, _ values: inout [Value?]) throws {
        guard observer?.watchesParts != false, let part = deferred.plan(for: values) else {
            return try walk(deferred.first..<plan.steps.count, isKept: false, frame, &values)
        }
        let bindings = deferred.graph.inputs.compactMap { id in values[id].map { (id: id, value: $0) } }
        let results = try PlanRunner(plan: part, threads: threads, observer: observer, files: files, depth: depth)
            .walk(bindings)
        for (id, value) in zip(deferred.graph.outputs, results) { values[id] = value }
    }

    private func run(_ index: Int, _ frame: Frame, _ values: inout [Value?]) throws {
        // Field by field: a copy of the step would touch every array of its node, and most lie in memory that is far away.
        let operation = plan.steps[index].operation
        guard plan.steps[index].isFixed, !operation.isView else { return try runAlone(index, operation, frame, &values) }
        let inputs = frame.operands[index].inputs ?? plan.steps[index].node.inputs.map { id in id.flatMap { values[$0] } }
        do {
            if plan.steps[index].isUnchecked { try check(plan.steps[index], inputs: inputs) }
            let allocated = observer == nil ? 0 : TensorStorage.allocatedBytes
            let start = observer == nil ? 0 : DispatchTime.now().uptimeNanoseconds
            let outputs = try outputs(of: index, frame)
            let results = try operation.fill(
                outputs, inputs: inputs, captures: captures(of: index, values), isWidened: frame.operands[index].isWidened,
                threads: threads, subgraphs: subgraphs(of: index))
            try settle(index, results, outputs, frame, &values)
            report(index, inputs: inputs, values, since: start, allocated)
        } catch {
            throw RunError(node: plan.steps[index].node, inputs: inputs.map { $0?.kind }, underlying: error)
        }
    }

    /// Runs a step whose operands are the same places in every run.
    private func run(_ index: Int, _ prepared: PreparedRun, _ frame: Frame, _ values: [Value?]) throws {
        do {
            let allocated = observer == nil ? 0 : TensorStorage.allocatedBytes
            let start = observer == nil ? 0 : DispatchTime.now().uptimeNanoseconds
            try prepared(threads)
            guard observer != nil else { return }
            report(index, inputs: frame.operands[index].inputs ?? [], values, since: start, allocated)
        } catch {
            let inputs = frame.operands[index].inputs ?? []
            throw RunError(node: plan.steps[index].node, inputs: inputs.map { $0?.kind }, underlying: error)
        }
    }

    /// Tells the observer that a step ran.
    ///
    /// - Parameters:
    ///   - start: when it began.
    ///   - allocated: ``TensorStorage/allocatedBytes`` then.
    private func report(_ index: Int, inputs: [Value?], _ values: [Value?], since start: UInt64, _ allocated: Int) {
        guard let observer else { return }
        let end = DispatchTime.now().uptimeNanoseconds
        observer.didRun(
            NodeEvent(
                place: .step(plan, index), kernelName: plan.steps[index].kernelName, start: start, end: end, inputs: inputs,
                outputs: plan.steps[index].node.outputs.map { id in id.flatMap { values[$0] } }, depth: depth,
                allocatedBytes: TensorStorage.allocatedBytes - allocated + plan.steps[index].arenaBytes,
                isFixed: !plan.steps[index].isUnchecked))
    }

    /// Runs a step that is decided on just before, and views of what isn't in the arena.
    private func runAlone(_ index: Int, _ operation: any Operator, _ frame: Frame, _ values: inout [Value?]) throws {
        let ids = plan.steps[index].node.outputs
        // A view of what is in the arena is there from the start.
        if case .view(let source) = operation.outputStorage, let output = ids.first ?? nil {
            if values[output] != nil { return }
            if plan.steps[index].isFixed, !plan.steps[index].isUnchecked, let shape = plan.facts[output].shape,
                source < plan.steps[index].node.inputs.count,
                case .tensor(let tensor)? = plan.steps[index].node.inputs[source].flatMap({ values[$0] })
            {
                values[output] = try frame.detached(.tensor(tensor.reshaped(to: shape)))
                return
            }
        }
        let runner = NodeRunner(
            threads: threads, observer: observer, depth: depth, runBytes: plan.runBytes, subgraphs: subgraphs(of: index))
        let results = try runner.run(
            plan.steps[index].node, operation, inputs: plan.steps[index].node.inputs.map { id in id.flatMap { values[$0] } },
            captures: captures(of: index, values))
        for (id, value) in zip(ids, results) { if let id { values[id] = try value.map(frame.detached) } }
    }

    private func captures(of index: Int, _ values: [Value?]) -> [Value] {
        plan.steps[index].node.captures.compactMap { values[$0] }
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

    /// Puts a step's outputs among the values; those in the arena are there already.
    ///
    /// - Parameter results: what the operator handed out in the place of an output.
    private func settle(
        _ index: Int, _ results: [Value?], _ outputs: [MutableTensor?], _ frame: Frame, _ values: inout [Value?]
    ) throws {
        guard !results.isEmpty || frame.operands[index].hasOwnOutputs else { return }
        for (output, id) in plan.steps[index].node.outputs.enumerated() {
            guard let id else { continue }
            if output < results.count, let result = results[output] {
                values[id] = try settle(result, in: outputs[output]?.tensor)
            } else if let own = outputs[output], frame.operands[index].outputs[output] == nil {
                values[id] = .tensor(own.tensor)
            }
        }
    }

    /// Brings a result to its planned place, where the operator handed out another tensor: views of the place, and the end of the
    /// memory that the other tensor may share, are already decided.
    private func settle(_ result: Value, in place: Tensor?) throws -> Value {
        guard let place else { return result }
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
    private func outputs(of index: Int, _ frame: Frame) throws -> [MutableTensor?] {
        var outputs = frame.operands[index].outputs
        for output in outputs { output?.reopen() }
        guard frame.operands[index].hasOwnOutputs else { return outputs }
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
