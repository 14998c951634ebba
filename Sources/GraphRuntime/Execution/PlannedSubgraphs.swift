/// Runs the graphs of one step of a plan: by plans of their own, or node by node where there is none.
struct PlannedSubgraphs: SubgraphRunner {
    let plans: SubgraphPlans
    let threads: ThreadPool
    let observer: (any RunObserver)?
    let depth: Int
    let runBytes: Int?
    let files: MappedFiles

    private var runner: GraphRunner {
        GraphRunner(threads: threads, observer: observer, depth: depth, runBytes: runBytes)
    }

    private func runner(of plan: Plan) -> PlanRunner {
        PlanRunner(plan: plan, threads: threads, observer: observer, files: files, depth: depth)
    }

    func run(_ subgraph: Subgraph, inputs: [Value], captures: [Value]) throws -> [Value] {
        let bindings = try runner.bindings(subgraph, inputs: inputs, captures: captures)
        return try run(subgraph, by: plans.plan(for: subgraph, inputs: inputs, captures: captures), bindings)
    }

    private func run(_ subgraph: Subgraph, by plan: Plan?, _ bindings: [(id: ValueID, value: Value)]) throws -> [Value] {
        guard let plan else { return try runner.run(subgraph.graph, bindings: bindings) }
        return try runner(of: plan).run(bindings)
    }

    func run(
        _ subgraph: Subgraph, carrying carried: CarriedValues, captures: [Value], values: [Value],
        next: ([Value]) throws -> [Value]?
    ) throws -> [Value] {
        var values = values
        var given = try next([])
        while let others = given {
            let inputs = carried.inputs(values, others)
            let bindings = try runner.bindings(subgraph, inputs: inputs, captures: captures)
            let plan = plans.plan(for: subgraph, inputs: inputs, captures: captures)
            if observer == nil, let plan, plan.repeats(carrying: carried) {
                return try runner(of: plan).runRepeatedly(bindings, carrying: carried, next: next)
            }
            let results = try run(subgraph, by: plan, bindings)
            values = Array(results[carried.outputs])
            given = try next(carried.others(results))
        }
        return values
    }
}
