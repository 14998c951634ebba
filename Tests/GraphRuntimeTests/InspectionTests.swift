import Foundation
import GraphRuntime
import Testing

/// Two Scales in a row become one: y = 2 · 2 · x.
private struct DoubleScaleFusion: Fusion {
    let name = "Scale+Scale"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard editor.operation(node, as: ToyScale.self) != nil, let input = editor.nodes[node].inputs[0],
            let first = editor.producer(of: input), editor.operation(first, as: ToyScale.self) != nil
        else { return nil }
        return FusionMatch(
            nodes: [first, node], type: "Scale4", operation: ToyScale(factor: 4), inputs: editor.nodes[first].inputs,
            outputs: editor.nodes[node].outputs.compactMap { $0 })
    }

    func missReason(at node: Int, in editor: GraphEditor) -> String? {
        editor.operation(node, as: ToyScale.self)?.factor == 2 ? "it stands alone" : nil
    }
}

@Suite struct InspectionTests {
    private func inspect(_ toy: ToyGraph) throws -> PlanInspection {
        var library = toyLibrary
        library.fusions = [DoubleScaleFusion()]
        let session = try Session(
            graph: toy.graph, library: library, options: SessionOptions(threads: ThreadPool(threadCount: 1)))
        return try session.inspect(["x": Tensor([Float](repeating: 1, count: 2048))])
    }

    private func chain() -> ToyGraph {
        var toy = ToyGraph()
        toy.input("x", [.symbolic("n")])
        toy.node("Scale", ["x"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Add", ["b", "x"], ["c"])
        toy.node("Scale", ["c"], ["d"])
        toy.node("Add", ["c", "d"], ["e"])
        toy.node("Add", ["e", "x"], ["y"])
        toy.output("y")
        return toy
    }

    @Test func reportsFusions() throws {
        let report = try inspect(chain()).fusions
        #expect(report.counts == ["Scale+Scale": 1] && report.fired.count == 1)
        #expect(report.fired.first?.origin.nodes == ["Scale-1 \"Scale→a\"", "Scale-1 \"Scale→b\""])
        #expect(
            report.misses == [.init(fusion: "Scale+Scale", node: "Scale-1 \"Scale→d\"", reason: "it stands alone")])
    }

    @Test func reportsWhatIsReadElsewhere() throws {
        var toy = ToyGraph()
        toy.input("x", [.symbolic("n")])
        toy.node("Scale", ["x"], ["a"])
        toy.node("Scale", ["a"], ["b"])
        toy.node("Add", ["a", "b"], ["y"])
        toy.output("y")
        let report = try inspect(toy).fusions
        #expect(report.counts.isEmpty && report.fired.isEmpty)
        #expect(
            report.misses.contains {
                $0.node == "Scale-1 \"Scale→b\"" && $0.reason == "\"a\" between its nodes is also read by Add-1 \"Add→y\""
            })
    }

    @Test func showsMemory() throws {
        let inspection = try inspect(chain())
        #expect(inspection.steps.map(\.node.identity.type) == ["Scale4", "Add", "Scale", "Add", "Add"])
        // b, c, d or e at a time: each 8192 bytes, and never more than two. Small inputs and outputs would be there too.
        #expect(inspection.liveBytes.count == 5 && inspection.liveBytes.max() == 16384)
        #expect(inspection.blocks.allSatisfy { $0.byteCount == 8192 && $0.offset + 8192 <= inspection.arenaByteCount })
        let texts = try WellFormed.texts(MemoryDrawing(inspection, title: "<m>").svg)
        #expect(texts.contains("<m>") && texts.contains { $0.contains("most in use 16.4 kB") })
    }

    @Test func drawsModules() throws {
        var toy = chain()
        for (index, name) in ["/a.0/x.0/S", "/a.0/x.1/S", "/a.0/Add", "/b.1/S", "Add", "/b.1/Add"].enumerated() {
            toy.graph.nodes[index].name = name
        }
        let coarse = GraphDrawing(toy.graph, depth: 1, title: "t")
        #expect(coarse.boxes.map(\.name) == ["x", "/a.0", "/b.1", "top level", "y"])
        #expect(coarse.boxes.map(\.nodeCount) == [0, 3, 2, 1, 0])
        #expect(coarse.arrows.contains { $0.from == 1 && $0.to == 2 } && coarse.arrows.contains { $0.from == 0 && $0.to == 2 })
        let fine = GraphDrawing(toy.graph, title: "t \"<\"")
        #expect(fine.depth == 2 && fine.boxes.map(\.name).contains("/a.0/x.1"))
        #expect(try WellFormed.texts(fine.svg).contains("/a.0/x.1"))
        #expect(fine.dot.hasPrefix("digraph \"t \\\"<\\\"\" {") && fine.dot.contains("n1 -> n2"))
        #expect(fine.dot.filter { $0 == "{" }.count == fine.dot.filter { $0 == "}" }.count)
    }

    /// A wrapper around everything tells nothing.
    @Test func stripsWhatAllModulesHaveInCommon() throws {
        var toy = chain()
        for (index, name) in ["/m/a/S", "/m/a/S", "/m/Add", "/m/b/S", "/m/b/Add", "/m/b/Add"].enumerated() {
            toy.graph.nodes[index].name = name
        }
        #expect(GraphDrawing(toy.graph, title: "t").boxes.map(\.name) == ["x", "/a", "top level", "/b", "y"])
    }

    /// Without modules and with many nodes, those that follow one another share a box; constants are with their readers.
    @Test func drawsAtMost64Boxes() throws {
        var toy = ToyGraph()
        toy.input("v0", [.fixed(4)])
        for index in 0..<200 {
            toy.constant("c\(index)", try Tensor([Float(1), 2, 3, 4]))
            toy.node("Scale", ["c\(index)"], ["k\(index)"])
            toy.node("Add", ["v\(index)", "k\(index)"], ["v\(index + 1)"])
        }
        toy.output("v200")
        let drawing = GraphDrawing(toy.graph, title: "t")
        #expect(drawing.boxes.count <= 64 + 2)
        #expect(drawing.boxes[1].name == "Add→v1 … Add→v4" && drawing.boxes[1].nodeCount == 8)
        #expect(drawing.boxes.reduce(0) { $0 + $1.nodeCount } == 400)
    }

    @Test func weights() throws {
        let figures = try WeightStatistics(name: "w", Tensor([Float.nan, -2, 0, 4, .infinity]))
        #expect(figures.minimum == -2 && figures.maximum == 4 && figures.nanCount == 1 && figures.infinityCount == 1)
        #expect(figures.zeroCount == 1 && abs((figures.mean ?? 0) - 2.0 / 3) < 1e-12)
        #expect(try WeightStatistics(name: "e", Tensor([Float]())).mean == nil)
        #expect(try WeightStatistics(name: "i", Tensor([Int64(3), 5])).mean == 4)
    }

    /// tanh's approximation of GELU (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016) is off by little everywhere: by more
    /// than a tenth of the tolerance on average, though no element is by the tolerance.
    @Test func wrongFormulasShowOnAverage() throws {
        let x = (-300...300).map { Double($0) / 100 }
        let exact = x.map { Float(0.5 * $0 * (1 + erf($0 / 2.0.squareRoot()))) }
        let approximate = x.map { Float(0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))) }
        let difference = try TensorDifference(Tensor(approximate), from: Tensor(exact))
        #expect(difference.relative < 2e-4 && difference.relativeMean > 1e-4 && difference.exceeds(1e-3))
    }

    @Test func differences() throws {
        let expected = try Tensor([Float(1), -4, 2])
        let same = try TensorDifference(expected, from: expected)
        #expect(same.largest == 0 && !same.exceeds(0))
        let other = try TensorDifference(Tensor([Float(1), -4, 2.5]), from: expected)
        #expect(other.largest == 0.5 && other.scale == 4 && other.relative == 0.125 && other.position == 2)
        // 0.5 of at most 4; 0.5 / 3 of 7 / 3.
        #expect(other.relative == 0.125 && abs(other.relativeMean - 1.0 / 14) < 1e-12)
        #expect(other.exceeds(0.1) && other.exceeds(0.7) && !other.exceeds(0.72))
        #expect(try TensorDifference(Tensor([Float.nan, -4, 2]), from: expected).exceeds(1e9))
        #expect(try !TensorDifference(Tensor([Float.nan]), from: Tensor([Float.nan])).exceeds(0))
        #expect(try TensorDifference(Tensor([Float(1)]), from: expected).obstacle == "has shape [1], expected [3]")
        #expect(try TensorDifference(Tensor([Int64(1), -4, 2]), from: expected).obstacle != nil)
        let whole = try TensorDifference(Tensor([UInt64(1), 2, 4]), from: Tensor([UInt64(1), 2, 3]))
        #expect(whole.largest == 1 && whole.scale == 3)
        // What a reference of 16 bits has rounded.
        let halves = try Tensor([Float16(1.001), -.infinity, 2])
        #expect(try TensorDifference(Tensor([Float(1.001), -2e5, 2]), from: halves).largest == 0)
        #expect(try TensorDifference(Tensor([Float(1.001), -6e4, 2]), from: halves).largest == .infinity)
    }
}
