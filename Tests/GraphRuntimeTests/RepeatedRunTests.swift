import GraphRuntime
import Synchronization
import Testing

/// What a run may not do anew each time: its cost for each node is to be that of the kernel.
@Suite struct RepeatedRunTests {
    /// Where the outputs of each node lie.
    private final class Addresses: RunObserver {
        var nodes: [Int] = []

        func didRun(_ event: NodeEvent) {
            for case .tensor(let tensor)? in event.outputs { unsafe nodes.append(Int(bitPattern: tensor.start)) }
        }
    }

    private func chain(of count: Int) throws -> Session {
        var toy = ToyGraph()
        toy.input("x")
        for index in 0..<count { toy.node("Negate", [index == 0 ? "x" : "v\(index - 1)"], ["v\(index)"]) }
        toy.output("v\(count - 1)")
        return try Session(
            graph: toy.graph, library: toyLibrary, options: SessionOptions(threads: ThreadPool(threadCount: 1)))
    }

    /// Values between nodes lie in one arena, at the same places in every run; only an output that is large gets memory of its own.
    @Test func valuesKeepTheirPlaces() throws {
        let session = try chain(of: 1000)
        let x = try Tensor([Float](repeating: 1, count: 2048))
        let summary = try session.prepare(["x": x])
        #expect(summary.nodeCount == 1000)
        // Each node writes over its input.
        #expect(summary.arenaByteCount == 4 * x.count)
        let runs = try (0..<3).map { _ in
            let addresses = Addresses()
            _ = try session.run(["x": x], observer: addresses)
            return Array(addresses.nodes.dropLast())
        }
        #expect(runs[0].count == 999 && Set(runs[0]).count == 1)
        #expect(runs[1] == runs[0] && runs[2] == runs[0])
    }

    /// What a profile says of operators and of itself is part of the run.
    @Test func profileAddsUp() throws {
        let session = try chain(of: 100)
        let profile = Profile()
        let clock = ContinuousClock()
        let start = clock.now
        for _ in 0..<5 { _ = try session.run(["x": Tensor([1 as Float])], observer: profile) }
        let elapsed = (clock.now - start) / .nanoseconds(1)
        let table = ProfileTable(profile, by: .op)
        #expect(table.rows.map(\.name) == ["Negate"] && table.rows.first?.calls == 500)
        #expect(profile.ownNanoseconds > 0)
        #expect(Double(profile.ownNanoseconds) + table.nodeNanoseconds <= elapsed)
    }

    /// Counts how it is run; what it would compute doesn't matter.
    private final class Counter: Operator {
        let counts = Mutex((preparations: 0, prepared: 0, plain: 0))

        func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try inputs[0].withoutValue] }

        func run(_ context: inout RunContext) throws {
            counts.withLock { $0.plain += 1 }
            try context.output(0).fill(with: 0 as Float)
        }

        func prepared(for operands: Operands) throws -> PreparedRun? {
            counts.withLock { $0.preparations += 1 }
            return { [self] _ in counts.withLock { $0.prepared += 1 } }
        }
    }

    /// An operator prepares its run once for all runs, where its operands have places: small ones do, large inputs and outputs don't.
    @Test(arguments: [(3, true), (2048, false)]) func preparesOnce(count: Int, isPrepared: Bool) throws {
        let counter = Counter()
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Count", ["x"], ["y"])
        toy.output("y")
        let library = OperatorLibrary(
            registry: OperatorRegistry([OperatorDefinition("Count", since: 1) { _ in counter }], newestOpset: ["": 17]))
        let session = try Session(
            graph: toy.graph, library: library, options: SessionOptions(threads: ThreadPool(threadCount: 1)))
        for _ in 0..<3 { _ = try session.run(["x": Tensor([Float](repeating: 1, count: count))]) }
        let counts = counter.counts.withLock { $0 }
        #expect(counts.preparations == (isPrepared ? 1 : 0))
        #expect(counts.prepared == (isPrepared ? 3 : 0))
        #expect(counts.plain == (isPrepared ? 0 : 3))
    }
}
