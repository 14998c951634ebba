import GraphRuntime
import TestSupport
import Testing

/// Notes which nodes run.
private final class Trace: RunObserver {
    var titles: [String] = []

    func didRun(_ event: NodeEvent) { titles.append(event.node.name) }
}

@Suite struct SteadyInputTests {
    /// k = 2s + w and its copy depend on the steady input s alone; y = (x + k) + k doesn't.
    private func makeGraph() throws -> Graph {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("s")
        toy.constant("w", try Tensor([Float(1), 2]))
        toy.node("Scale", ["s"], ["d"])
        toy.node("Add", ["d", "w"], ["k"])
        toy.node("Flatten", ["k"], ["f"])
        toy.node("Scale", ["x"], ["u"])
        toy.node("Add", ["u", "f"], ["v"])
        toy.node("Add", ["f", "v"], ["t"])
        toy.node("Scale", ["t"], ["y"])
        toy.output("y")
        return toy.graph
    }

    private func makeSession(_ graph: Graph, steady: Set<String>, savesMemory: Bool = false) throws -> Session {
        var options = SessionOptions(threads: ThreadPool(threadCount: 2), savesMemory: savesMemory)
        options.steadyInputs = steady
        return try Session(graph: graph, library: toyLibrary, options: options)
    }

    private func run(_ session: Session, x: Tensor, s: Tensor, _ trace: Trace? = nil) throws -> [Float] {
        try #require(try session.run(["x": x, "s": s], observer: trace)["y"]).array(of: Float.self)
    }

    /// 2 (2x + 2 (2s + w))
    private func expected(_ x: [Float], _ s: [Float]) -> [Float] {
        let w: [Float] = [1, 2]
        return (0..<2).map { index -> Float in
            let kept = 2 * s[index] + w[index]
            return 2 * (2 * x[index] + 2 * kept)
        }
    }

    @Test(arguments: [true, false]) func keptForTheSameTensor(savesMemory: Bool) throws {
        let session = try makeSession(try makeGraph(), steady: ["s", "no such input"], savesMemory: savesMemory)
        let s = try Tensor([Float(3), 5])
        for (step, x): (Int, [Float]) in [[7, 11], [13, 17], [19, 23]].enumerated() {
            let trace = Trace()
            #expect(try run(session, x: Tensor(x), s: s, trace) == expected(x, [3, 5]))
            #expect(trace.titles.contains("Scale→d") == (step == 0) && trace.titles.contains("Add→k") == (step == 0))
            #expect(trace.titles.contains("Add→v") && trace.titles.contains("Add→t"))
        }
        // The kept values go with the memory.
        session.releaseMemory()
        let trace = Trace()
        #expect(try run(session, x: Tensor([Float(1), 1]), s: s, trace) == expected([1, 1], [3, 5]))
        #expect(trace.titles.contains("Scale→d"))
    }

    @Test func anotherTensorIsComputedAnew() throws {
        let session = try makeSession(try makeGraph(), steady: ["s"])
        let prompts = [try Tensor([Float(3), 5]), try Tensor([Float(-3), 50])]
        let x: [Float] = [1, 4]
        for index in [0, 1, 0, 0, 1, 1] {
            expectEqual(
                try run(session, x: Tensor(x), s: prompts[index]), expected(x, try prompts[index].array(of: Float.self)))
        }
        // Equal values in another tensor, and a tensor that may lie where a former one did.
        for value in 0..<20 {
            #expect(try run(session, x: Tensor(x), s: Tensor([Float(value), 1])) == expected(x, [Float(value), 1]))
        }
    }

    @Test func runsAtTheSameTimeKeepTheirOwn() async throws {
        let session = try makeSession(try makeGraph(), steady: ["s"])
        await withTaskGroup(of: Bool.self) { group in
            for value in 0..<4 {
                group.addTask {
                    guard let s = try? Tensor([Float(value), Float(-value)]) else { return false }
                    return (0..<200).allSatisfy { step in
                        let x = [Float(step), Float(2 * step)]
                        return (try? run(session, x: Tensor(x), s: s)) == expected(x, [Float(value), Float(-value)])
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    /// A run that fails keeps nothing.
    @Test func afterAFailure() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("s")
        toy.node("Scale", ["s"], ["k"])
        toy.node("Positives", ["x"], ["p"])
        toy.node("Add", ["p", "k"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph, steady: ["s"])
        let (s, other) = (try Tensor([Float(1), 2]), try Tensor([Float(10), 20]))
        expectEqual(try run(session, x: Tensor([Float(1), 1]), s: s), [3, 5])
        expectError("shapes [1] and [2] differ") { try run(session, x: Tensor([Float(-1), 1]), s: other) }
        expectEqual(try run(session, x: Tensor([Float(1), 1]), s: s), [3, 5])
    }

    /// Random graphs over two inputs, one of them steady: the same as without, for any order of inputs.
    @Test func sameResultsAsWithout() throws {
        var random = SplitMix(state: 11)
        for _ in 0..<60 {
            let graph = randomGraph(&random)
            let steady = try makeSession(graph, steady: ["s"])
            let plain = try makeSession(graph, steady: [])
            let prompts = try (0..<2).map { _ in try Tensor((0..<5).map { _ in Float(random.next() % 100) - 50 }) }
            for _ in 0..<6 {
                let x = try Tensor((0..<5).map { _ in Float(random.next() % 100) - 50 })
                let s = prompts[Int(random.next() % 2)]
                let (a, b) = (try steady.run(["x": x, "s": s]), try plain.run(["x": x, "s": s]))
                for (name, tensor) in b {
                    try expectEqual(#require(a[name]), tensor.array(of: Float.self))
                }
            }
        }
    }

    private func randomGraph(_ random: inout SplitMix) -> Graph {
        var toy = ToyGraph()
        var names = ["x", "s", "s"]
        for name in ["x", "s"] { toy.input(name) }
        func pick(_ random: inout SplitMix) -> String { names[Int(random.next() % UInt64(names.count))] }
        for index in 0..<Int(4 + random.next() % 20) {
            let output = "v\(index)"
            switch random.next() % 4 {
            case 0: toy.node("Scale", [pick(&random)], [output])
            case 1: toy.node("Flatten", [pick(&random)], [output])
            default: toy.node("Add", [pick(&random), pick(&random)], [output])
            }
            names.append(output)
        }
        for name in Set([pick(&random), pick(&random), names[names.count - 1]]) { toy.output(name) }
        return toy.graph
    }
}
