/// The memory of one run: the arena and the values in it. Sent between threads unchecked: the plan hands it to one run at a time.
final class Frame: @unchecked Sendable {
    /// What a step reads and writes that is the same in every run.
    struct StepOperands {
        /// The node's inputs; nil where some of them aren't there before the run.
        let inputs: [Value?]?
        /// The places of its outputs, nil for those that have none before the run.
        let outputs: [MutableTensor?]
        /// Whether some outputs get memory of their own in each run.
        let hasOwnOutputs: Bool
        /// What ``Operator/needsWidening(_:)`` says of the inputs; nil where not all of their types are known before the run.
        let isWidened: Bool?
    }

    /// A step whose operands all have their places and whose operator says how it computes them: all that its run looks at, since what
    /// else there is of a step is in memory that is far away.
    struct PreparedStep {
        /// Nil where nothing is left to compute: for views of what is there from the start.
        let run: PreparedRun?
        let releases: [ValueID]
    }

    /// By step.
    let operands: [StepOperands]
    /// By step; nil for those that aren't prepared.
    let prepared: [PreparedStep?]
    /// By value id; what the arena and the constants hold is there from the start. Empty while a run has it.
    private var values: [Value?]
    /// The places of those inputs that have one.
    private let inputPlaces: [ValueID: MutableTensor]
    /// The values that are not there from the start.
    private let transient: [ValueID]
    /// Those of them that the graph doesn't capture, which differ from turn to turn where it runs repeatedly.
    private let changing: [ValueID]
    private let arena: TensorStorage
    /// The steady inputs whose results are in the arena; empty where there are none.
    private var steady: [Tensor] = []

    init(_ plan: Plan) throws {
        arena = try TensorStorage(byteCount: plan.arenaByteCount)
        var values = [Value?](repeating: nil, count: plan.graph.values.count)
        for (id, tensor) in plan.graph.initializers { values[id] = .tensor(tensor) }
        for (id, location) in plan.locations.enumerated() {
            guard case .arena(let offset) = location, let dtype = plan.facts[id].dtype, let shape = plan.facts[id].shape else {
                continue
            }
            values[id] = .tensor(try Tensor(dtype: dtype, shape: shape, storage: arena, byteOffset: offset))
        }
        for step in plan.steps {
            for case let id? in step.node.outputs {
                guard case .view(let source) = plan.locations[id], case .tensor(let tensor)? = values[source],
                    let shape = plan.facts[id].shape
                else { continue }
                values[id] = .tensor(try tensor.reshaped(to: shape))
            }
        }
        let operands = plan.steps.map { Self.operands(of: $0, plan, values) }
        self.operands = operands
        // Where memory is spared, constants are read while their node runs.
        prepared =
            plan.pages == nil
            ? zip(plan.steps, operands).map { Self.prepared($0, $1, values) }
            : Array(repeating: nil, count: plan.steps.count)
        inputPlaces = Dictionary(
            uniqueKeysWithValues: Set(plan.graph.inputs + plan.graph.captures).compactMap { id in
                guard case .arena = plan.locations[id], let tensor = values[id]?.tensor else { return nil }
                return (id, MutableTensor(tensor))
            })
        let transient = values.indices.filter { values[$0] == nil }
        let captures = Set(plan.graph.captures)
        (self.transient, changing) = (transient, transient.filter { !captures.contains($0) })
        self.values = values
    }

    private static func operands(of step: Plan.Step, _ plan: Plan, _ values: [Value?]) -> StepOperands {
        let outputs = step.node.outputs.map { id -> MutableTensor? in
            guard let id, case .arena = plan.locations[id] else { return nil }
            return values[id]?.tensor.map { MutableTensor($0) }
        }
        let inputs = step.node.inputs.map { id in id.flatMap { values[$0] } }
        let isComplete = zip(step.node.inputs, inputs).allSatisfy { id, value in id == nil || value != nil }
        return StepOperands(
            inputs: isComplete ? inputs : nil, outputs: outputs,
            hasOwnOutputs: step.node.outputs.contains { id in id.map { plan.locations[$0] == .heap } ?? false },
            isWidened: step.isUnchecked
                ? nil : step.operation.needsWidening(step.node.inputs.map { id in id.flatMap { plan.facts[$0].dtype } }))
    }

    private static func prepared(_ step: Plan.Step, _ operands: StepOperands, _ values: [Value?]) -> PreparedStep? {
        if step.operation.isView, let output = step.node.outputs.first ?? nil, values[output] != nil {
            return PreparedStep(run: nil, releases: step.releases)
        }
        guard step.isFixed, !step.operation.isView, !operands.hasOwnOutputs, operands.isWidened == false,
            let inputs = operands.inputs,
            // Elements that may be computed anew have no address that stays.
            inputs.allSatisfy({ $0?.tensor?.storage.deferred?.isPinned != false })
        else { return nil }
        // What doesn't fit is an error of the node when it runs.
        let operands = Operands(inputs: inputs, outputs: operands.outputs)
        return (try? step.operation.prepared(for: operands)).map { PreparedStep(run: $0, releases: step.releases) }
    }

    /// Puts the value of an input among those of a run: in its place where it has one.
    func bind(_ id: ValueID, _ value: Value, in values: inout [Value?]) throws {
        guard let place = inputPlaces[id], case .tensor(let tensor) = value else { return values[id] = value }
        place.reopen()
        try place.copy(from: tensor)
    }

    /// An output of a turn that is an input of the next.
    struct CarriedValue {
        let output: ValueID
        let input: ValueID
        /// Where the value waits while inputs change, in whose memory an output may be: nil for one that has no place in the arena.
        let copy: MutableTensor?
    }

    func carriedValue(_ output: ValueID, to input: ValueID) throws -> CarriedValue {
        let copy = try inputPlaces[input].map { try MutableTensor(dtype: $0.dtype, shape: $0.shape) }
        return CarriedValue(output: output, input: input, copy: copy)
    }

    /// Makes the values that a turn left those that the next one reads.
    func carry(_ carried: [CarriedValue], in values: inout [Value?]) throws {
        var moved: [(ValueID, Value)] = []
        for value in carried {
            guard let result = values[value.output] else { throw GraphError("a carried value was not computed") }
            if let copy = value.copy, case .tensor(let tensor) = result {
                copy.reopen()
                try copy.copy(from: tensor)
            } else {
                moved.append((value.input, try detached(result)))
            }
        }
        for id in changing { values[id] = nil }
        for value in carried { if let copy = value.copy { try bind(value.input, .tensor(copy.tensor), in: &values) } }
        for (input, value) in moved { values[input] = value }
    }

    /// Calls `body` with the values that are there from the start, by id, to add those of the run.
    func withValues<Result>(_ body: (inout [Value?]) throws -> Result) rethrows -> Result {
        // Taken out for the time: so each access to them needs no check that it is the only one.
        var values: [Value?] = []
        swap(&values, &self.values)
        defer {
            for id in transient { values[id] = nil }
            swap(&values, &self.values)
        }
        return try body(&values)
    }

    /// Whether the arena holds what steady steps make of these very tensors.
    func holdsResults(of inputs: [Tensor]) -> Bool {
        !inputs.isEmpty && inputs.count == steady.count
            && zip(inputs, steady).allSatisfy {
                $0.storage === $1.storage && $0.byteOffset == $1.byteOffset && $0.shape == $1.shape
            }
    }

    /// States what ``holdsResults(of:)`` compares with. The tensors are kept, so that no other can take their place in memory.
    func setSteady(_ inputs: [Tensor]) { steady = inputs }

    /// A value that doesn't look into the arena: a copy where it does. What a node hands on beside the plan (a view of a shape that
    /// only the run tells, a sequence, what a subgraph captured) may be read after the plan has given that memory to others.
    func detached(_ value: Value) throws -> Value {
        func detached(_ tensor: Tensor) throws -> Tensor {
            guard tensor.storage === arena else { return tensor }
            let copy = try MutableTensor(dtype: tensor.dtype, shape: tensor.shape)
            try copy.copy(from: tensor)
            return try copy.finish()
        }
        func detached(_ map: ValueMap) throws -> ValueMap {
            try ValueMap(keys: detached(map.keys), values: detached(map.values))
        }
        return switch value {
        case .tensor(let tensor): .tensor(try detached(tensor))
        case .sequence(let tensors): .sequence(try tensors.map(detached))
        case .map(let map): .map(try detached(map))
        case .maps(let maps): .maps(try maps.map(detached))
        case .empty: .empty
        }
    }
}
