/// The road from a resolved graph to one that is ready to be planned.
struct Optimizer {
    let fusions: [any Fusion]
    let threads: ThreadPool
    /// See ``SessionOptions/savesMemory``.
    let savesMemory: Bool
    let limits: ResourceLimits

    /// Folds what no input's shape is needed for, once for all plans of a session.
    ///
    /// - Returns: the graph, and the weights in it that kernels may keep packed although they aren't a file's: those that fusions made
    ///   (``Fusion/remakesWeights``), those that can be computed again, and small ones.
    func prepare(_ graph: Graph) throws -> (graph: Graph, weights: [Tensor]) {
        var specializer = Specializer(
            graph, inputFacts: [:], threads: threads, savesMemory: savesMemory, limits: limits, keepsLate: true)
        try specializer.run()
        var result = specializer.graph
        result.removeDeadCode()
        result.mergeCommonSubexpressions()
        result.removeDeadCode()
        guard !savesMemory else { return (result, []) }
        var editor = GraphEditor(result, facts: specializer.facts)
        var counts: [String: Int] = [:]
        try apply(fusions.filter(\.remakesWeights), to: &editor, &counts)
        let made = editor.graph.initializers.filter { $0.key >= result.values.count }.values + specializer.renewable
        var fused = editor.graph
        fused.removeDeadCode()
        // Under another name, too, such as that of a view.
        let left = Set(fused.initializers.values.map { ObjectIdentifier($0.storage) })
        return (fused, made.filter { left.contains(ObjectIdentifier($0.storage)) } + Self.small(fused.initializers.values))
    }

    /// Of the constants that are in memory anyway (folded ones, numbers that a file lists in fields, misaligned ones that were copied) the
    /// smallest, as many as may be there twice.
    private static func small(_ constants: some Sequence<Tensor>) -> [Tensor] {
        var bytes = 0
        return constants.filter { !$0.storage.isMappedFile && $0.storage.deferred == nil }.sorted {
            $0.byteCount < $1.byteCount
        }.prefix { tensor in
            bytes += tensor.byteCount
            return bytes <= 64 << 20
        }
    }

    /// The graph for inputs of these facts, with the facts of all its values.
    ///
    /// - Parameter late: what plans of the graph share; nil for a graph that has one plan, or whose constants may be replaced.
    func optimize(_ graph: Graph, inputFacts: [ValueID: Fact], late: LateConstants? = nil) throws -> OptimizedGraph {
        // Those that came before shapes were known.
        var counts: [String: Int] = [:]
        for case let fusion? in graph.nodes.map(\.fusion) { counts[fusion.fusion, default: 0] += 1 }
        var renewable: [Tensor] = []
        var editor = try editor(graph, inputFacts, keepsLate: true)
        try apply(fusions.filter(\.comesBeforeFolding), to: &editor, &counts)
        let refusals = editor.refusals
        if editor.nodes.contains(where: { isFoldedLate($0, editor) }) {
            var remaining = editor.graph
            remaining.removeDeadCode()
            editor = try self.editor(remaining, inputFacts, keepsLate: false, late: late) { renewable = $0 }
        }
        try apply(fusions.filter { !$0.comesBeforeFolding && !$0.remakesWeights }, to: &editor, &counts)
        var result = editor.graph
        result.removeDeadCode()
        try result.validate()
        return OptimizedGraph(
            graph: result, facts: editor.facts, fusionCounts: counts, refusals: refusals + editor.refusals,
            weights: late == nil ? [] : renewable)
    }

    /// The graph with all facts that follow, in the hands of fusions.
    ///
    /// - Parameter renewable: is given the constants that were folded and can be computed again.
    private func editor(
        _ graph: Graph, _ inputFacts: [ValueID: Fact], keepsLate: Bool, late: LateConstants? = nil,
        renewable: ([Tensor]) -> Void = { _ in }
    ) throws -> GraphEditor {
        var specializer = Specializer(
            graph, inputFacts: inputFacts, threads: threads, savesMemory: savesMemory, limits: limits, keepsLate: keepsLate,
            late: late)
        try specializer.run()
        renewable(specializer.renewable)
        var specialised = specializer.graph
        specialised.removeDeadCode()
        specialised.mergeCommonSubexpressions()
        specialised.removeDeadCode()
        return GraphEditor(specialised, facts: specializer.facts)
    }

    private func apply(_ fusions: [any Fusion], to editor: inout GraphEditor, _ counts: inout [String: Int]) throws {
        for fusion in fusions {
            let count = try editor.apply(fusion)
            if count > 0 { counts[fusion.name, default: 0] += count }
        }
    }

    /// Whether a node of constants was left to be folded late, or is a fusion's.
    private func isFoldedLate(_ node: Node, _ editor: GraphEditor) -> Bool {
        guard let operation = node.operation else { return false }
        let inputs = node.inputs.map { id in id.map { editor.fact($0) } }
        return inputs.allSatisfy { $0 == nil || $0?.value != nil }
            && (node.fusion != nil || operation.isFoldedLate(inputs: inputs))
    }

    /// What the fusions did to an optimised graph, and where they nearly fired.
    func report(_ optimized: OptimizedGraph) -> FusionReport {
        let editor = GraphEditor(optimized.graph, facts: optimized.facts)
        // What one fusion refused, another may have taken.
        let left = Set(editor.nodes.map(\.title))
        var misses = optimized.refusals.filter { left.contains($0.node) }
        var seen = Set(misses)
        for fusion in fusions {
            for (index, node) in editor.nodes.enumerated() {
                guard let reason = fusion.missReason(at: index, in: editor) else { continue }
                let miss = FusionReport.Miss(fusion: fusion.name, node: node.title, reason: reason)
                if seen.insert(miss).inserted { misses.append(miss) }
            }
        }
        let fired = editor.nodes.compactMap { node in node.fusion.map { FusionReport.Fired(node: node.title, origin: $0) } }
        return FusionReport(counts: optimized.fusionCounts, fired: fired, misses: misses)
    }
}

/// A graph after the passes.
struct OptimizedGraph {
    var graph: Graph
    var facts: [Fact]
    /// How often each fusion fired.
    var fusionCounts: [String: Int]
    /// Matches that could not be replaced.
    var refusals: [FusionReport.Miss] = []
    /// Weights that kernels may keep packed although they aren't a file's, see ``Optimizer/prepare(_:)``.
    var weights: [Tensor] = []
}
