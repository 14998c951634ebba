import GraphRuntime
import TestSupport
import Testing

private func vector(_ values: [Float]) throws -> Tensor { try Tensor(values) }

private func makeSession(_ graph: Graph, optimize: Bool = true) throws -> Session {
    try Session(
        graph: graph, library: toyLibrary, options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
}

/// What a plan makes of memory is never to be seen: every graph gives what the plain walk over its nodes gives.
@Suite struct PlannerTests {
    /// Runs a graph with and without plan, thrice, and expects earlier results to stay as they were.
    private func expectEqualRuns(_ graph: Graph, _ inputs: [[String: Tensor]], _ title: String = "") throws {
        let planned = try makeSession(graph)
        let plain = try makeSession(graph, optimize: false)
        var kept: [(given: [String: Tensor], found: [String: Tensor], expected: [String: [Float]])] = []
        for _ in 0..<2 {
            for given in inputs {
                let expected = try plain.run(given).mapValues { try $0.array(of: Float.self) }
                kept.append((given, try planned.run(given), expected))
            }
        }
        for (given, found, expected) in kept {
            #expect(found.count == expected.count, "\(title)")
            for (name, tensor) in found { try expectEqual(tensor, #require(expected[name]), "\(title) \(name)") }
            // Nothing was written over what the caller gave.
            for (name, tensor) in given where name == "x" {
                try expectEqual(tensor, (0..<tensor.count).map { Float($0) - 1.5 }, "\(title)")
            }
        }
    }

    private func given(_ length: Int, _ random: inout SplitMix) throws -> [String: Tensor] {
        [
            "x": try vector((0..<length).map { Float($0) - 1.5 }),
            "z": try vector((0..<length).map { _ in Float(random.next() % 9) - 4 }),
        ]
    }

    @Test func randomGraphs() throws {
        var random = SplitMix(state: 23)
        for index in 0..<250 {
            let graph = try randomGraph(&random)
            let inputs = try [1, 4, 0, 33].map { try given($0, &random) }
            try expectEqualRuns(graph, inputs, "graph \(index)")
        }
    }

    /// A branch of an If that reads outer values, and may hand one on unchanged.
    private func branch(_ kind: UInt64) -> Graph {
        var toy = ToyGraph()
        toy.capture("x")
        switch kind % 3 {
        case 0: toy.node("Negate", ["x"], ["r"])
        case 1: toy.node("Flatten", ["x"], ["r"])
        default: toy.graph.outputs = [toy.value("x")]
        }
        if kind % 3 != 2 { toy.output("r") }
        return toy.graph
    }

    private func randomGraph(_ random: inout SplitMix) throws -> Graph {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("z")
        toy.constant("yes", try Tensor(scalar: true))
        // Values of the inputs' length, and of lengths that only data tells.
        var names = ["x", "z"]
        var loose: [String] = []
        func pick(_ names: [String]) -> String { names[Int(random.next() % UInt64(names.count))] }
        for index in 0..<Int(4 + random.next() % 24) {
            let (a, b, y) = (pick(names), pick(names), "v\(index)")
            switch random.next() % 16 {
            case 0: toy.node("Scale", [a], [y], attributes: NodeAttributes(["factor": .float(Float(random.next() % 3) - 1)]))
            case 1, 2: toy.node("Flatten", [a], [y])
            case 3, 4: toy.node("Negate", [a], [y])
            case 5:
                toy.node("Triple", [a], [y, y + "d", y + "s"])
                names.append(y + "d")
                loose.append(y + "s")
            case 6:
                toy.node("Count", [a], [y + "n"])
                toy.node("Reshape", [a, y + "n"], [y])
            case 7: toy.node("Pass", [a], [y])
            case 8:
                toy.node("Pack", [a, b], [y + "q"])
                toy.node("Unpack", [y + "q"], [y])
            case 9:
                let branches = NodeAttributes(["then": .graph(branch(random.next())), "else": .graph(branch(random.next()))])
                toy.node(
                    "If", [random.next() % 2 == 0 ? "yes" : condition(&toy, a, y)], [y], attributes: branches, captures: [a, b])
            case 10:
                toy.node("SumAndPositives", [a], [y + "s", y + "p"])
                toy.node("Negate", [y + "s"], [y + "t"])
                toy.node("Negate", [y + "p"], [y + "o"])
                loose += [y + "s", y + "t", y + "p", y + "o"]
                continue
            case 11: reshapeTwice(&toy, a, to: y)
            default: toy.node("Add", [a, b], [y])
            }
            names.append(y)
        }
        let count = Int(1 + random.next() % 4)
        for name in Set((0..<count).map { _ in pick(names) } + [names[names.count - 1]]).sorted() { toy.output(name) }
        if !loose.isEmpty { toy.output(pick(loose)) }
        return toy.graph
    }

    /// A view of a known shape of what has none before the run.
    private func reshapeTwice(_ toy: inout ToyGraph, _ a: String, to y: String) {
        toy.node("Count", [a], [y + "n"])
        toy.node("Reshape", [a, y + "n"], [y + "l"])
        toy.node("Shape", [a], [y + "e"])
        toy.node("Reshape", [y + "l", y + "e"], [y])
    }

    /// A condition that folds to true for all lengths but isn't known at load.
    private func condition(_ toy: inout ToyGraph, _ a: String, _ y: String) -> String {
        toy.node("IsAny", [a], [y + "c"])
        return y + "c"
    }

    private func check(_ build: (inout ToyGraph) throws -> Void) throws {
        var random = SplitMix(state: 1)
        var toy = ToyGraph()
        toy.input("x")
        toy.input("z")
        try build(&toy)
        try expectEqualRuns(toy.graph, [given(4, &random), given(0, &random), given(3, &random)])
    }

    /// A view of a shape that only the run tells looks into the arena, which others write to before the view is read.
    @Test func viewsOfLateShapeKeepTheirElements() throws {
        try check { toy in
            toy.node("Scale", ["x"], ["a"])
            toy.node("Count", ["z"], ["n"])
            toy.node("Reshape", ["a", "n"], ["v"])
            toy.node("Scale", ["z"], ["b"])
            toy.node("Scale", ["b"], ["c"])
            toy.node("Add", ["c", "b"], ["d"])
            toy.node("Add", ["d", "v"], ["y"])
            toy.output("y")
            toy.output("v")
        }
    }

    /// Where the shape of a view is known and that of what it shows isn't, both are made during the run, and so are views of the view.
    @Test func viewsOfKnownShapeShowWhatIsThere() throws {
        try check { toy in
            toy.node("Scale", ["x"], ["a"])
            reshapeTwice(&toy, "a", to: "v")
            toy.node("Flatten", ["v"], ["f"])
            toy.node("Negate", ["f"], ["g"])
            toy.node("Scale", ["z"], ["b"])
            toy.node("Add", ["g", "b"], ["y"])
            toy.output("y")
            toy.output("v")
        }
    }

    @Test func sequencesAndBranchesKeepTheirElements() throws {
        let outer = branch(2)
        try check { toy in
            toy.node("Scale", ["x"], ["a"])
            toy.node("Pack", ["a"], ["q"])
            toy.node("Scale", ["x"], ["b"], attributes: NodeAttributes(["factor": .float(7)]))
            toy.node("IsAny", ["z"], ["c"])
            toy.node(
                "If", ["c"], ["i"], attributes: NodeAttributes(["then": .graph(outer), "else": .graph(outer)]),
                captures: ["b", "b"])
            toy.node("Scale", ["z"], ["d"], attributes: NodeAttributes(["factor": .float(5)]))
            toy.node("Scale", ["d"], ["e"])
            toy.node("Unpack", ["q"], ["u"])
            toy.node("Add", ["e", "u"], ["f"])
            toy.node("Add", ["f", "i"], ["y"])
            for name in ["y", "u", "i"] { toy.output(name) }
        }
    }

    @Test func handedOnTensorsReachTheirPlace() throws {
        try check { toy in
            toy.node("Scale", ["x"], ["a"])
            toy.node("Pass", ["a"], ["p"])
            toy.node("Flatten", ["p"], ["v"])
            toy.node("Scale", ["z"], ["b"])
            toy.node("Negate", ["v"], ["w"])
            toy.node("Add", ["b", "w"], ["y"])
            toy.node("Pass", ["b"], ["o"])
            toy.output("y")
            toy.output("o")
        }
    }

    /// The sum has a known shape, but its node has none for the arena: nothing may be written in its place.
    @Test func knownOutputsBesideUnknownOnes() throws {
        try check { toy in
            toy.node("Scale", ["x"], ["a"])
            toy.node("SumAndPositives", ["a"], ["s", "p"])
            toy.node("Negate", ["s"], ["t"])
            toy.node("Add", ["t", "t"], ["y"])
            toy.output("y")
            toy.output("p")
        }
    }

    @Test func outputsOfEveryKind() throws {
        try check { toy in
            // A view of an input, of a constant, of another output; a constant, a folded one, an input, and an output twice.
            toy.constant("k", try vector([1, 2]))
            toy.node("Flatten", ["x"], ["xv"])
            toy.node("Flatten", ["k"], ["kv"])
            toy.node("Add", ["k", "kv"], ["kk"])
            toy.node("Scale", ["z"], ["y"])
            toy.node("Flatten", ["y"], ["yv"])
            toy.node("Negate", ["yv"], ["n"])
            toy.node("Triple", ["z"], ["t0", "t1", "t2"])
            toy.node("Scale", ["t0"], ["dead"])
            for name in ["xv", "kv", "k", "kk", "x", "y", "yv", "n", "y", "t1"] { toy.output(name) }
        }
    }

    @Test func inPlaceOverViews() throws {
        try check { toy in
            // The view's source is read later, or is an output, or an input, or isn't needed any more.
            toy.node("Scale", ["x"], ["a"])
            toy.node("Flatten", ["a"], ["av"])
            toy.node("Negate", ["av"], ["n"])
            toy.node("Add", ["n", "a"], ["m"])
            toy.node("Flatten", ["z"], ["zv"])
            toy.node("Negate", ["zv"], ["o"])
            toy.node("Add", ["o", "z"], ["p"])
            toy.node("Flatten", ["m"], ["mv"])
            toy.node("Add", ["mv", "m"], ["r"])
            toy.node("Negate", ["r"], ["s"])
            toy.node("Add", ["s", "p"], ["y"])
            toy.output("y")
            toy.output("o")
        }
    }

    /// What an operator could only have checked with a shape that isn't there before the run is checked during the run.
    @Test(arguments: [true, false]) func lateShapesAreChecked(optimize: Bool) throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Positives", ["x"], ["p"])
        toy.node("NeedsThree", ["x", "p"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph, optimize: optimize)
        try expectEqual(#require(try session.run(["x": vector([1, -2, 3, 4])])["y"]), [4] as [Float])
        let error = #expect(throws: RunError.self) { try session.run(["x": vector([1, -2, 3, -4])]) }
        #expect(error?.message.contains("expected 3 elements") == true)
    }

    /// An input with a default is a constant until someone gives another value, also to what was a view of the default.
    @Test(arguments: [true, false]) func defaultsAndTheirViews(optimize: Bool) throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.input("w")
        toy.input("unused")
        toy.constant("w", try vector([10, 20]))
        toy.constant("unused", try vector([1]))
        toy.node("Flatten", ["w"], ["v"])
        toy.node("Scale", ["v"], ["s"])
        toy.node("Add", ["x", "s"], ["y"])
        toy.output("y")
        toy.output("v")
        let session = try makeSession(toy.graph, optimize: optimize)
        for _ in 0..<2 {
            try expectEqual(#require(try session.run(["x": vector([1, 2])])["y"]), [21, 42] as [Float])
            let given = try session.run(["x": vector([1, 2]), "w": vector([5, 6])])
            try expectEqual(#require(given["y"]), [11, 14] as [Float])
            try expectEqual(#require(given["v"]), [5, 6] as [Float])
            let longer = try session.run(["x": vector([1, 2, 3]), "w": vector([1, 1, 1]), "unused": vector([3])])
            try expectEqual(#require(longer["y"]), [3, 4, 5] as [Float])
        }
        // The constant part of the graph is gone: what is left is the sum.
        if optimize { #expect(try session.prepare(["x": vector([1, 2])]).nodeCount == 1) }
    }

    /// A graph keeps constant tensors alone: the node that makes a sequence of them has to stay.
    @Test func constantSequences() throws {
        var toy = ToyGraph()
        toy.input("x")
        toy.constant("k", try vector([3]))
        toy.node("Pack", ["k", "k"], ["q"])
        toy.node("Count", ["x"], ["n"])
        toy.node("Unpack", ["q"], ["u"])
        toy.node("UnpackAt", ["q", "n"], ["y"])
        toy.output("u")
        toy.output("y")
        for optimize in [true, false] {
            let found = try makeSession(toy.graph, optimize: optimize).run(["x": vector([1])])
            try expectEqual(#require(found["u"]), [3] as [Float])
            try expectEqual(#require(found["y"]), [3] as [Float])
        }
    }
}

@Suite struct PlanCacheTests {
    private func session() throws -> Session {
        var toy = ToyGraph()
        toy.input("x")
        toy.node("Scale", ["x"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Add", ["b", "x"], ["y"])
        toy.output("y")
        return try makeSession(toy.graph)
    }

    private func check(_ session: Session, _ length: Int) throws {
        let y = try session.run(["x": Tensor([Float](repeating: Float(length), count: length))])["y"]
        try expectEqual(#require(y), [Float](repeating: 5 * Float(length), count: length))
    }

    @Test func moreShapesThanPlans() throws {
        let session = try session()
        for _ in 0..<3 { for length in 0..<23 { try check(session, length) } }
    }

    @Test func shapesFromSeveralThreads() async throws {
        let session = try session()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<6 { group.addTask { for round in 0..<60 { try check(session, 1 + (round * 7 + task * 3) % 19) } } }
            for try await _ in group {}
        }
    }

    /// Memory given back between two nodes of a run is that of other runs.
    @Test func memoryGivenBackDuringARun() throws {
        final class Releaser: RunObserver {
            let session: Session
            init(_ session: Session) { self.session = session }
            func didRun(_ event: NodeEvent) { session.releaseMemory() }
        }
        let session = try session()
        for _ in 0..<3 {
            let y = try session.run(["x": vector([1, 2, 3])], observer: Releaser(session))["y"]
            try expectEqual(#require(y), [5, 10, 15] as [Float])
            session.releaseMemory()
            try check(session, 4)
        }
    }
}

@Suite struct ArenaLayoutTests {
    @Test func blocksThatLiveTogetherLieApart() {
        var random = SplitMix(state: 3)
        for round in 0..<300 {
            let steps = UInt64(1 + round % 30)
            let blocks = (0..<Int(random.next() % 60)).map { _ -> ArenaLayout.Block in
                let first = Int(random.next() % steps)
                let size = random.next() % 4 == 0 ? 0 : Int(random.next() % 700)
                return ArenaLayout.Block(byteCount: size, first: first, last: first + Int(random.next() % steps))
            }
            let layout = ArenaLayout(blocks)
            #expect(layout.offsets.count == blocks.count)
            for (index, block) in blocks.enumerated() {
                let start = layout.offsets[index]
                #expect(start >= 0 && start % TensorStorage.alignment == 0 && start + block.byteCount <= layout.byteCount)
                for other in 0..<index where blocks[other].first <= block.last && block.first <= blocks[other].last {
                    let otherStart = layout.offsets[other]
                    #expect(start + block.byteCount <= otherStart || otherStart + blocks[other].byteCount <= start)
                }
            }
            // No worse than all blocks side by side, no better than the fullest step.
            let sizes = blocks.map { ArenaLayout.aligned($0.byteCount) }
            let fullest = (0..<Int(2 * steps)).map { step in
                zip(blocks, sizes).reduce(0) { $0 + ($1.0.first...$1.0.last ~= step ? $1.1 : 0) }
            }
            #expect(layout.byteCount <= sizes.reduce(0, +) && layout.byteCount >= fullest.max() ?? 0)
        }
    }

    @Test func nothing() {
        #expect(ArenaLayout([]).byteCount == 0)
        #expect(ArenaLayout([ArenaLayout.Block(byteCount: 0, first: 0, last: 0)]).offsets == [0])
    }
}
