/// Runs the graphs of one step of a plan: by plans of their own, or node by node where there is none.
struct PlannedSubgraphs: SubgraphRunner {
    let plans: SubgraphPlans
    let threads: ThreadPool
    let observer: (any RunObserver)?
    let depth: Int
    let runBytes: Int?
    let files: MappedFiles

    func run(_ subgraph: Subgraph, inputs: [Value], captures: [Value]) throws -> [Value] {
        let runner = GraphRunner(threads: threads, observer: observer, depth: depth, runBytes: runBytes)
        let bindings = try runner.bindings(subgraph, inputs: inputs, captures: captures)
        guard let plan = plans.plan(for: subgraph, inputs: inputs, captures: captures) else {
            return try runner.run(subgraph.graph, bindings: bindings)
        }
        return try PlanRunner(plan: plan, threads: threads, observer: observer, files: files, depth: depth).run(bindings)
    }

    func run(
        _ subgraph: Subgraph, carrying carried: CarriedValues, captures: [Value], values: [Value],
        next: ([Value]) throws -> [Value]?
    ) throws -> [Value] {
        var values = values
        var given = try next([])
        while let others = given {
            let inputs = carried.inputs(values, others)
            if observer == nil, let plan = plans.plan(for: subgraph, inputs: inputs, captures: captures),
                plan.repeats(carrying: carried)
            {
                let runner = GraphRunner(threads: threads, observer: observer, depth: depth, runBytes: runBytes)
                return try PlanRunner(plan: plan, threads: threads, observer: observer, files: files, depth: depth)
                    .runRepeatedly(
                        runner.bindings(subgraph, inputs: inputs, captures: captures), carrying: carried, next: next)
            }
            let results = try run(subgraph, inputs: inputs, captures: captures)
            values = Array(results[carried.outputs])
            given = try next(carried.others(results))
        }
        return values
    }
}
