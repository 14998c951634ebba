import GraphRuntime
import Ops

/// What a run costs beside its kernels: a chain of nodes on one element, none of which fuses with another.
struct InterpreterBenchmark: Encodable {
    static let name = "interpreter"

    let nodes: Int
    /// The whole run for each node, kernels on one element included.
    let usPerNode: Double
    /// What is left of it without the kernels, by a profile that leaves its own time out.
    let usPerNodeBesideKernels: Double

    init(threads: ThreadPool, isQuick: Bool) throws {
        let count = 1000
        var graph = SmallGraph()
        var value = try graph.input([1])
        let types = ["Neg", "Abs", "Floor", "Sqrt"]
        for index in 0..<count { value = graph.node(types[index % types.count], [value], version: 13) }
        try graph.finish(value, rank: 1)
        let session = try Session(
            graph: graph.graph, library: StandardOperators.library, options: SessionOptions(threads: threads))
        nodes = try session.prepare(graph.given).nodeCount
        let clock = ContinuousClock()
        var (best, bestBesideKernels) = (Double.infinity, Double.infinity)
        for _ in 0..<(isQuick ? 1 : 200) {
            let start = clock.now
            _ = try session.run(graph.given)
            best = min(best, (clock.now - start).nanoseconds)
            let profile = Profile()
            let observedStart = clock.now
            _ = try session.run(graph.given, observer: profile)
            let spent = (clock.now - observedStart).nanoseconds - Double(profile.ownNanoseconds)
            bestBesideKernels = min(bestBesideKernels, spent - ProfileTable(profile, by: .op).nodeNanoseconds)
        }
        usPerNode = best / 1e3 / Double(nodes)
        usPerNodeBesideKernels = bestBesideKernels / 1e3 / Double(nodes)
    }
}
