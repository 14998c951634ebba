import GraphRuntime
import TestSupport
import Testing

private func vector(_ values: [Float]) throws -> Tensor { try Tensor(values) }

private func makeSession(_ graph: Graph, optimize: Bool = true) throws -> Session {
    try Session(
        graph: graph, library: toyLibrary, options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
}

@Suite struct SessionTests {
    @Test(arguments: [true, false]) func runsAChain(optimize: Bool) throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["a"])
        toy.node("Add", ["a", "x"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph, optimize: optimize)
        for values: [Float] in [[1, 2, 3], [5], []] {
            let y = try #require(try session.run(["x": vector(values)])["y"])
            try expectEqual(y, values.map { 3 * $0 })
        }
    }

    @Test func resultsOutliveLaterRuns() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["a"])
        toy.node("Flatten", ["a"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph)
        let first = try #require(try session.run(["x": vector([1, 2])])["y"])
        _ = try session.run(["x": vector([10, 20])])
        try expectEqual(first, [2, 4] as [Float])
    }

    /// Random graphs: plan, arena and in-place reuse give what the plain walk gives.
    @Test func plannedRunsEqualPlainOnes() throws {
        var random = SplitMix(state: 7)
        for _ in 0..<60 {
            let graph = randomGraph(&random)
            let planned = try makeSession(graph)
            let plain = try makeSession(graph, optimize: false)
            for length in [1, 3, 17] {
                let x = try vector((0..<length).map { _ in Float(random.next() % 100) - 50 })
                let z = try vector((0..<length).map { _ in Float(random.next() % 100) - 50 })
                let a = try planned.run(["x": x, "z": z])
                let b = try plain.run(["x": x, "z": z])
                #expect(a.count == b.count)
                for (name, tensor) in a {
                    try expectEqual(tensor, #require(b[name]).array(of: Float.self))
                }
            }
        }
    }

    private func randomGraph(_ random: inout SplitMix) -> Graph {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("z")
        var names = ["x", "z"]
        for index in 0..<Int(3 + random.next() % 20) {
            let a = names[Int(random.next() % UInt64(names.count))]
            let b = names[Int(random.next() % UInt64(names.count))]
            let output = "v\(index)"
            switch random.next() % 4 {
            case 0: toy.node("Scale", [a], [output], attributes: NodeAttributes(["factor": .float(Float(random.next() % 5))]))
            case 1: toy.node("Flatten", [a], [output])
            default: toy.node("Add", [a, b], [output])
            }
            names.append(output)
        }
        for name in Set((0..<3).map { _ in names[Int(random.next() % UInt64(names.count))] } + [names[names.count - 1]]) {
            toy.output(name)
        }
        return toy.graph
    }

    @Test(arguments: [true, false]) func shapesThatDependOnData(optimize: Bool) throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["a"])
        toy.node("Positives", ["a"], ["p"])
        toy.node("Add", ["p", "p"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph, optimize: optimize)
        try expectEqual(#require(try session.run(["x": vector([1, -1, 3])])["y"]), [4, 12] as [Float])
        try expectEqual(#require(try session.run(["x": vector([-1, -1, -3])])["y"]), [] as [Float])
    }

    @Test func shapesFold() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Shape", ["x"], ["s"])
        toy.node("Scale", ["x"], ["y"])
        toy.output("s")
        toy.output("y")
        let session = try makeSession(toy.graph)
        let x = try Tensor([Float](repeating: 1, count: 6), shape: Shape([2, 3]))
        #expect(try session.prepare(["x": x]).nodeCount == 1)
        try expectEqual(#require(try session.run(["x": x])["s"]), [2, 3] as [Int64])
    }

    @Test(arguments: [true, false]) func subgraphsSeeCapturedValues(optimize: Bool) throws {
        func branch(_ factor: Float) -> Graph {
            var toy = ToyGraph()
            toy.capture("x")
            toy.node("Scale", ["x"], ["r"], attributes: NodeAttributes(["factor": .float(factor)]))
            toy.output("r")
            return toy.graph
        }
        var toy = ToyGraph()
        toy.input("x")
        toy.graph.inputs.append(toy.value("c"))
        let branches = NodeAttributes(["then": .graph(branch(3)), "else": .graph(branch(5))])
        toy.node("If", ["c"], ["y"], attributes: branches, captures: ["x", "x"])
        toy.output("y")
        let session = try makeSession(toy.graph, optimize: optimize)
        for (condition, factor) in [(true, Float(3)), (false, 5)] {
            let y = try session.run(["x": vector([1, 2]), "c": Tensor(scalar: condition)])["y"]
            try expectEqual(#require(y), [factor, 2 * factor] as [Float])
        }
        // With a constant condition the branch takes the node's place.
        toy.graph.inputs.removeLast()
        toy.constant("c", try Tensor(scalar: true))
        let inlined = try makeSession(toy.graph)
        try expectEqual(#require(try inlined.run(["x": vector([2])])["y"]), [6] as [Float])
    }

    @Test func aBindsItsInputs() throws {
        var toy = ToyGraph()
        toy.input("x", [.fixed(2), .symbolic("n")])
        toy.node("Scale", ["x"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph)
        expectError("the input \"x\" is missing") { try session.run([:]) }
        expectError("the model has no input \"w\"; its inputs are \"x\"") { try session.run(["w": vector([1])]) }
        expectError("\"x\" is declared as float32[2, n], found float32[1]") { try session.run(["x": vector([1])]) }
        expectError("\"x\" is declared as float32[2, n], found float32[3, 1]") {
            try session.run(["x": Tensor([Float](repeating: 0, count: 3), shape: Shape([3, 1]))])
        }
        expectError("\"x\" is declared as float32[2, n], found int64[2, 2]") {
            try session.run(["x": Tensor([Int64](repeating: 0, count: 4), shape: Shape([2, 2]))])
        }
        _ = try session.run(["x": Tensor([Float](repeating: 0, count: 4), shape: Shape([2, 2]))])
    }

    @Test func errorsNameTheNode() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("z")
        toy.node("Add", ["x", "z"], ["y"])
        toy.output("y")
        for optimize in [true, false] {
            let session = try makeSession(toy.graph, optimize: optimize)
            let error = #expect(throws: RunError.self) { try session.run(["x": vector([1]), "z": vector([1, 2])]) }
            #expect(error?.description.contains("Add→y") == true)
            #expect(error?.description.contains("float32[2]") == true)
        }
    }

    @Test func refusesGraphsThatContradictThemselves() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["y"])
        let nothing = toy.value("nothing")
        for (output, text) in [
            (99, "value 99 doesn't exist"), (-1, "value -1 doesn't exist"),
            (nothing, "nothing produces the output \"nothing\""),
        ] {
            toy.graph.outputs = [output]
            expectError(text) { try makeSession(toy.graph) }
        }
    }

    @Test func refusesWhatItDoesNotKnow() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Nonsense", ["x"], ["a"])
        toy.node("Scale", ["a"], ["y"], attributes: NodeAttributes(["axis": .int(1)]))
        toy.output("y")
        expectError("the model needs operators that aren't supported: Nonsense-1") { try makeSession(toy.graph) }
        toy.graph.nodes[0].identity.type = "Scale"
        expectError("attribute axis isn't supported") { try makeSession(toy.graph) }
        toy.graph.nodes.removeLast()
        toy.graph.nodes[0].outputs = [toy.value("y")]
        toy.graph.nodes[0].identity.version = 10
        expectError("the model needs operators that aren't supported: Scale-10") { try makeSession(toy.graph) }
    }

    @Test func runsFromSeveralThreadsAtOnce() async throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Add", ["b", "x"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for round in 0..<50 {
                        let value = Float(task * 100 + round)
                        let y = try session.run(["x": Tensor([Float](repeating: value, count: 1 + round))])["y"]
                        guard try y?.array(of: Float.self).allSatisfy({ $0 == 5 * value }) == true else { return false }
                    }
                    return true
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return (z ^ (z >> 31)) >> 1
    }
}
