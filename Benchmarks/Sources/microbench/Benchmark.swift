import GraphRuntime
import Ops

/// One kernel at one shape: a graph of which all nodes but the last are timed.
struct Benchmark: Sendable {
    let name: String
    let build: @Sendable () throws -> SmallGraph

    /// The graph of one value computed from others.
    init(_ name: String, rank: Int, _ body: @escaping @Sendable (inout SmallGraph) throws -> ValueID) {
        self.name = name
        build = {
            var graph = SmallGraph()
            try graph.finish(body(&graph), rank: rank)
            return graph
        }
    }

    struct Row: Encodable {
        let name: String
        /// Median of one run.
        let milliseconds: Double
        /// Operations that the operator states, 10⁹ a second; nil where it counts none.
        let gflops: Double?
        /// Of the machine's peak, 0 to 1; above 1 where the kernel does fewer operations than the operator states.
        let shareOfPeakGflops: Double?
        /// Bytes of inputs and outputs, 10⁹ a second; above the memory's where they stay in a cache.
        let gbPerS: Double
        let shareOfPeakGbPerS: Double
    }

    /// - Parameter isQuick: one run, to see that the benchmark works.
    func run(_ machine: Machine, threads: ThreadPool, precision: Precision, isQuick: Bool) throws -> Row {
        let graph = try build()
        let session = try Session(
            graph: graph.graph, library: StandardOperators.library,
            options: SessionOptions(threads: threads, precision: precision))
        let stopwatch = Stopwatch()
        if !isQuick { _ = try session.run(graph.given) }
        let clock = ContinuousClock()
        let start = clock.now
        var runs = 0
        repeat {
            _ = try session.run(graph.given, observer: stopwatch)
            stopwatch.endRun()
            runs += 1
        } while !isQuick && (runs < 5 || (clock.now - start < .milliseconds(400) && runs < 10_000))
        let nanoseconds = stopwatch.median
        let gflops = stopwatch.cost.flops > 0 ? stopwatch.cost.flops / nanoseconds : nil
        let gbPerS = stopwatch.cost.bytes / nanoseconds
        return Row(
            name: name, milliseconds: nanoseconds / 1e6, gflops: gflops,
            shareOfPeakGflops: gflops.map { $0 / machine.peakGflops }, gbPerS: gbPerS,
            shareOfPeakGbPerS: gbPerS / machine.peakGbPerS)
    }
}

/// Adds up the nodes of each run.
private final class Stopwatch: RunObserver {
    private var runs: [Double] = []
    private var nanoseconds = 0.0
    /// Of one run.
    private(set) var cost = Cost()

    func didRun(_ event: NodeEvent) {
        guard event.depth == 0, event.node.name != SmallGraph.lastNode else { return }
        nanoseconds += Double(event.end - event.start)
        if runs.isEmpty {
            cost.flops += event.cost.flops
            cost.bytes += event.cost.bytes
        }
    }

    func endRun() {
        runs.append(nanoseconds)
        nanoseconds = 0
    }

    var median: Double { max(runs.sorted()[runs.count / 2], 1) }
}
