import Dispatch
import Synchronization

/// Operators and the fusions that go with them: what turns a graph into something that runs.
public struct OperatorLibrary: Sendable {
    /// The operators.
    public var registry: OperatorRegistry
    /// The fusions, in the order in which they are tried.
    public var fusions: [any Fusion]

    /// A library of these operators and fusions.
    public init(registry: OperatorRegistry, fusions: [any Fusion] = []) {
        self.registry = registry
        self.fusions = fusions
    }
}

/// How a session treats its graph.
public struct SessionOptions: Sendable {
    /// Whether shapes are specialised, constants folded, nodes fused and memory planned. Off, the graph runs node by node as it
    /// is in the file, but for ``halfRounding``: slower, for finding out where a difference comes from.
    public var optimize = true
    /// The threads to run on; a pool of the machine's physical cores by default.
    public var threads: ThreadPool
    /// Plans that are kept, one per combination of input shapes; the least recently used goes first.
    public var planCacheSize = 8
    /// Whether to spare memory at the cost of some time: weights in mapped files are in memory only while their node runs, and no
    /// constant is kept that had to be computed of them, such as weights widened from half precision or packed. The results are the
    /// same but for rounding, where a kernel that reads packed weights adds in another order.
    public var savesMemory: Bool
    /// Where numbers of float16 and bfloat16 are rounded.
    public var halfRounding = HalfRounding.outputs
    /// In which numbers products are computed. Without ``optimize``, and for nodes whose shapes depend on data, in single precision.
    public var precision: Precision
    /// In which numbers weights of products and convolutions are kept, where they are constants of at least a few rows and not quantised in
    /// the file: rounded when they are first needed, and widened in the cache by each run. Products with rounded weights are of single
    /// precision, whatever ``precision`` says. Without ``optimize``, and with ``savesMemory``, which keeps no weights at all, they stay as
    /// they are.
    public var weights: WeightFormat
    /// Keeps packed weights for other processes; nil for none. Without ``optimize``, and with ``savesMemory``, nothing is packed. Packed
    /// weights in files are pages that the system may drop and read again.
    public var panelCache: PanelCache?
    /// Names of inputs that many runs in a row get as the very same tensor, such as a prompt's states. What depends on these and on
    /// constants alone is computed when the tensor is another one than in the run before, and kept meanwhile. Names that the model
    /// doesn't have are ignored; without ``optimize`` nothing is kept.
    public var steadyInputs: Set<String> = []
    /// What the model may take of the machine.
    public var limits = ResourceLimits()

    /// Options with ``steadyInputs`` empty; each parameter is the property of its name.
    public init(
        optimize: Bool = true, threads: ThreadPool = ThreadPool(), savesMemory: Bool = false, precision: Precision = .single,
        halfRounding: HalfRounding = .outputs, weights: WeightFormat = .stored, panelCache: PanelCache? = nil
    ) {
        self.optimize = optimize
        self.threads = threads
        self.savesMemory = savesMemory
        self.precision = precision
        self.halfRounding = halfRounding
        self.weights = weights
        self.panelCache = panelCache
    }
}

/// A model, ready to run on inputs of any shapes that it accepts. Safe to use from several threads at once.
public final class Session: Sendable {
    /// What a run must be given; inputs with a default in the file are left out.
    public let inputs: [ValueDeclaration]
    /// What a run gives, in the order of the file.
    public let outputs: [ValueDeclaration]
    /// About how many bytes of weights stay in memory between runs, once they are packed: those that lie in mapped files, in the numbers
    /// that products read. 0 with ``SessionOptions/savesMemory``, and with ``SessionOptions/panelCache``, whose pages the system may drop.
    public let keptWeightBytes: Int
    /// Without its ``Graph/replaceable`` constants.
    private let fixedGraph: Graph
    /// These.
    private let replaceable: Mutex<[ValueID: Tensor]>
    /// Those that no output depends on.
    private let unusedReplaceable: Set<ValueID>
    private let inputIDs: [String: ValueID]
    private let options: SessionOptions
    private let optimizer: Optimizer
    /// Nil where constants may be replaced.
    private let late: LateConstants?
    /// Constants that are computed again when they are needed.
    private let renewable: Mutex<[Tensor]>
    /// Nil where memory is spared.
    private let constants: PackedConstantStore?
    private let plans = Mutex<[(key: [PlanKey], plan: Plan)]>([])
    private let files: MappedFiles

    /// Packed forms of weights stay in memory for so many of the plans that ran last: with two, a program that takes turns between two
    /// sizes packs nothing again, and one that tries many sizes has few forms at a time.
    private static let packedPlanCount = 2

    /// Resolves operators and folds what doesn't depend on inputs.
    ///
    /// - Parameters:
    ///   - graph: what to run.
    ///   - library: operators, and fusions to try.
    ///   - options: how to treat the graph.
    ///   - other: a session of a graph with the same constants, such as another part of one model's graph: a packed form that both need is
    ///     made and kept once.
    /// - Throws: ``GraphError`` for operators or attributes that aren't supported, for a graph beyond ``SessionOptions/limits`` and for
    ///   constants without values (``Tensor/hasValues``), ``RunError`` for a node that contradicts its constant inputs.
    public init(
        graph: Graph, library: OperatorLibrary, options: SessionOptions = SessionOptions(),
        sharingConstantsOf other: Session? = nil
    ) throws {
        try graph.validate()
        try graph.requireValues()
        let resolved = try library.registry.resolve(graph, halfRounding: options.halfRounding)
        self.options = options
        keptWeightBytes = options.keptBytes(of: graph)
        constants = options.savesMemory ? nil : other?.constants ?? PackedConstantStore(cache: options.panelCache)
        let optimizer = Optimizer(
            fusions: library.fusions, threads: options.threads, savesMemory: options.savesMemory, limits: options.limits)
        let files = MappedFiles(graph)
        let (made, weights) =
            options.optimize ? try files.requiringWhole { try optimizer.prepare(resolved) } : (resolved, [])
        var prepared = made
        var live = resolved
        if !graph.replaceable.isEmpty { live.removeDeadCode() }
        var used = Set(live.nodes.flatMap(\.reads)).intersection(graph.replaceable)
        let kept = Set(prepared.nodes.flatMap(\.reads))
        if let id = used.first(where: { !kept.contains($0) || prepared.initializers[$0] == nil }) {
            throw GraphError("the constant \"\(graph.values[id].name)\" was folded, and can't be replaced")
        }
        if !options.optimize { used = graph.replaceable }
        for id in used { if let tensor = prepared.initializers[id] { constants?.admit(tensor) } }
        for tensor in weights { constants?.admit(tensor) }
        renewable = Mutex(weights.filter { $0.storage.deferred != nil })
        unusedReplaceable = graph.replaceable.subtracting(used)
        replaceable = Mutex(prepared.initializers.filter { used.contains($0.key) })
        for id in used { prepared.initializers[id] = nil }
        fixedGraph = prepared
        self.optimizer = optimizer
        late = graph.replaceable.isEmpty ? LateConstants(of: prepared) : nil
        self.files = files
        inputs = graph.inputs.filter { graph.initializers[$0] == nil }.map { graph.values[$0] }
        outputs = graph.outputs.map { graph.values[$0] }
        inputIDs = Dictionary(graph.inputs.map { (graph.values[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Runs the model on tensors and returns the outputs by name.
    ///
    /// - Parameters:
    ///   - inputs: a tensor for each of ``inputs``.
    ///   - observer: watches every node.
    /// - Throws: ``GraphError`` where an input is missing, unknown or doesn't fit its declaration; ``RunError`` where a node fails;
    ///   `CancellationError` where the task that this runs in was cancelled, before the next node.
    public func run(_ inputs: [String: Tensor], observer: (any RunObserver)? = nil) throws -> [String: Tensor] {
        let values = try run(values: inputs.mapValues { .tensor($0) }, observer: observer)
        var result: [String: Tensor] = [:]
        for (declaration, value) in zip(outputs, values) { result[declaration.name] = try value.asTensor() }
        return result
    }

    /// Runs the model on values of any kind and returns the outputs in the order of ``outputs``.
    ///
    /// - Throws: as ``run(_:observer:)``.
    public func run(values: [String: Value], observer: (any RunObserver)? = nil) throws -> [Value] {
        let bindings = try bind(values)
        do {
            let result = try walk(bindings, observer: observer)
            // An operator goes on without a packed form that there is no memory for, and without elements would read zeros.
            let failure =
                renewable.withLock { $0.lazy.compactMap { $0.storage.deferred?.failure }.first }
                ?? replaceable.withLock { $0.values.lazy.compactMap { $0.storage.deferred?.failure }.first }
            if let failure { throw failure }
            return result
        } catch let error as RunError where error.kind == .cancelled {
            throw CancellationError()
        }
    }

    private func walk(_ bindings: Bindings, observer: (any RunObserver)?) throws -> [Value] {
        let values = bindings.values.map { (id: $0.key, value: $0.value) }
        guard options.optimize else {
            let graph = graph
            let runner = GraphRunner(threads: options.threads, observer: observer, runBytes: options.limits.runBytes)
            return try files.requiringWhole {
                try runner.run(
                    graph, bindings: values, pages: options.savesMemory ? WeightPages(graph) : nil, files: files)
            }
        }
        return try files.requiringWhole {
            let plan = try plan(for: bindings)
            let runner = PlanRunner(plan: plan, threads: options.threads, observer: observer, files: files)
            let outputs = try runner.run(values)
            try plan.constants?.requireWhole()
            return outputs
        }
    }

    /// Makes the plan for inputs of these shapes and types ahead of the first run.
    ///
    /// - Returns: what the plan is.
    @discardableResult
    public func prepare(_ inputs: [String: Tensor]) throws -> PlanSummary {
        guard options.optimize else {
            return PlanSummary(nodeCount: fixedGraph.nodes.count, arenaByteCount: 0, fusionCounts: [:])
        }
        let plan = try plan(for: bind(inputs.mapValues { .tensor($0) }))
        return PlanSummary(
            nodeCount: plan.steps.count, arenaByteCount: plan.arenaByteCount, fusionCounts: plan.fusionCounts,
            specialiseSeconds: plan.seconds.specialise, planSeconds: plan.seconds.plan)
    }

    /// What a run on inputs of these shapes and types would walk, for looking at.
    ///
    /// - Throws: ``GraphError`` where the session doesn't optimise or the inputs don't fit, ``RunError`` for a node that doesn't.
    public func inspect(_ inputs: [String: Tensor]) throws -> PlanInspection {
        guard options.optimize else { throw GraphError("a session without the optimizer makes no plan") }
        return PlanInspection(try plan(for: bind(inputs.mapValues { .tensor($0) })))
    }

    /// The graph with the constants that hold now.
    private var graph: Graph {
        var result = fixedGraph
        for (id, tensor) in replaceable.withLock({ $0 }) { result.initializers[id] = tensor }
        return result
    }

    /// The ``Graph/replaceable`` constants that hold now.
    public var replaceableConstants: [ValueID: Tensor] { replaceable.withLock { $0 } }

    /// Gives a ``Graph/replaceable`` constant other values, for all runs that begin afterwards. Plans are kept.
    ///
    /// No run may be under way: it could see the constant change.
    ///
    /// - Throws: ``GraphError`` where the constant isn't one of these, or the tensor has another type or shape; ``TensorError`` where there
    ///   is no memory for elements that are computed when they are needed.
    public func replaceConstant(_ id: ValueID, with tensor: Tensor) throws {
        if unusedReplaceable.contains(id) { return }
        let old = try replaceable.withLock { constants throws(GraphError) -> Tensor in
            guard let old = constants[id], old.dtype == tensor.dtype, old.shape == tensor.shape else {
                throw GraphError(
                    "\(tensor.dtype)\(tensor.shape) can't replace \(constants[id].map { "\($0.dtype)\($0.shape)" } ?? "no constant")",
                    kind: .input)
            }
            constants[id] = tensor
            return old
        }
        constants?.replace(old, with: tensor)
        try plans.withLock { plans in
            // Without memory for a plan's constants the others must not be left with the old ones.
            let old = plans
            plans = []
            plans = try old.compactMap { entry in try entry.plan.replacing(id, with: tensor).map { (entry.key, $0) } }
        }
    }

    /// Gives back the memory of values that is kept for the next run; packed weights stay.
    public func releaseMemory() { plans.withLock { for (_, plan) in $0 { plan.releaseMemory() } } }

    /// A value for each input.
    private struct Bindings {
        var values: [ValueID: Value] = [:]
        /// The inputs that the caller left to the model's default: these are as good as constants.
        var defaults: Set<ValueID> = []
    }

    private func bind(_ values: [String: Value]) throws -> Bindings {
        var bindings = Bindings()
        for (name, value) in values {
            guard let id = inputIDs[name] else {
                let known = inputs.map { "\"\($0.name)\"" }.joined(separator: ", ")
                throw GraphError("the model has no input \"\(name)\"; its inputs are \(known)", kind: .input)
            }
            try fixedGraph.values[id].check(value)
            bindings.values[id] = value
        }
        for id in fixedGraph.inputs where bindings.values[id] == nil {
            if let tensor = fixedGraph.initializers[id] {
                bindings.values[id] = .tensor(tensor)
                bindings.defaults.insert(id)
            } else {
                throw GraphError("the input \"\(fixedGraph.values[id].name)\" is missing", kind: .input)
            }
        }
        return bindings
    }

    private func plan(for bindings: Bindings) throws -> Plan {
        let key = fixedGraph.inputs.map { bindings.defaults.contains($0) ? .modelDefault : PlanKey(bindings.values[$0]) }
        let cached = plans.withLock { plans -> Plan? in
            guard let index = plans.firstIndex(where: { $0.key == key }) else { return nil }
            if index < plans.count - 1 {
                plans.append(plans.remove(at: index))
                Self.keepConstants(of: plans.map(\.plan))
            }
            return plans.last?.plan
        }
        if let cached { return cached }
        var facts: [ValueID: Fact] = [:]
        var graph = graph
        for (id, value) in bindings.values {
            var fact = Fact(value)
            if !bindings.defaults.contains(id) {
                fact.value = nil
                graph.initializers[id] = nil
            }
            facts[id] = fact
        }
        let start = DispatchTime.now().uptimeNanoseconds
        let optimized = try optimizer.optimize(graph, inputFacts: facts, late: late)
        for tensor in optimized.weights { constants?.admit(tensor) }
        renewable.withLock { known in
            let added = optimized.weights.filter { tensor in !known.contains { $0.storage === tensor.storage } }
            known += added
        }
        let plan = try Plan(
            optimized,
            steadyInputs: options.steadyInputs.compactMap { inputIDs[$0] }.filter { !bindings.defaults.contains($0) },
            context: PlanContext(
                constants: constants.map(PackedConstants.init), precision: options.precision, weights: options.weights),
            runBytes: options.limits.runBytes,
            specialiseSeconds: Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9,
            optimizer: optimizer)
        plans.withLock { plans in
            // Arenas are large: only the plan in use keeps its own.
            for (_, other) in plans { other.releaseMemory() }
            plans.append((key, plan))
            if plans.count > max(options.planCacheSize, 1) { plans.removeFirst() }
            Self.keepConstants(of: plans.map(\.plan))
        }
        return plan
    }

    /// - Parameter plans: in the order in which they ran last.
    private static func keepConstants(of plans: [Plan]) {
        for plan in plans.suffix(packedPlanCount) { plan.constants?.keep() }
        // After those that stay, so that what both need stays, too.
        for plan in plans.dropLast(packedPlanCount) { plan.constants?.letGo() }
    }
}

/// What a session decided for inputs of given shapes.
public struct PlanSummary: Sendable {
    /// Nodes that run, after the passes.
    public let nodeCount: Int
    /// Bytes of the arena that holds all values between nodes.
    public let arenaByteCount: Int
    /// How often each fusion fired.
    public let fusionCounts: [String: Int]
    /// Seconds that inferring shapes, folding and fusing took when the plan was made; 0 without a plan.
    public var specialiseSeconds = 0.0
    /// Seconds that placing values and choosing kernels took; 0 without a plan.
    public var planSeconds = 0.0
}

extension ValueDeclaration {
    /// - Throws: ``GraphError`` where a value contradicts the declared type, rank or a fixed extent.
    func check(_ value: Value) throws(GraphError) {
        guard case .tensor(let dtype, let dimensions)? = type else { return }
        guard case .tensor(let tensor) = value else {
            throw GraphError("the input \"\(name)\" is declared as \(dtype), found \(value.kind)", kind: .input)
        }
        let expected = ValueType.tensor(dtype, dimensions)
        guard tensor.dtype == dtype else {
            throw GraphError("the input \"\(name)\" is declared as \(expected), found \(value.kind)", kind: .input)
        }
        guard let dimensions else { return }
        guard tensor.shape.rank == dimensions.count else {
            throw GraphError("the input \"\(name)\" is declared as \(expected), found \(value.kind)", kind: .input)
        }
        for (axis, dimension) in dimensions.enumerated() {
            if case .fixed(let extent) = dimension, extent != tensor.shape[axis] {
                throw GraphError("the input \"\(name)\" is declared as \(expected), found \(value.kind)", kind: .input)
            }
        }
    }
}
