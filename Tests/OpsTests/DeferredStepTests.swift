import GraphRuntime
import Ops
import Synchronization
import TestSupport
import Testing

/// Steps behind values whose shapes only a run shows.
@Suite struct DeferredStepTests {
    /// What each node at the top runs with: its type and kernel.
    private final class Kernels: RunObserver {
        private let state = Mutex<[String]>([])
        let watchesParts: Bool

        init(watchesParts: Bool = true) { self.watchesParts = watchesParts }

        func didRun(_ event: NodeEvent) {
            guard event.depth == 0 else { return }
            state.withLock { $0.append("\(event.node.identity.type) \(event.kernelName ?? "")") }
        }

        var names: [String] { state.withLock { $0 } }
    }

    private func session(_ graph: Graph, optimize: Bool, isFrugal: Bool = false) throws -> Session {
        var options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2))
        options.savesMemory = isFrugal
        return try Session(graph: graph, library: StandardOperators.library, options: options)
    }

    /// The rows of x that aren't zero in its first column, through two layers whose result is added to them, and their number: NonZero
    /// hands on as many rows as there are.
    private func layers(_ g: inout FusionGraph, of x: ValueID) throws -> [ValueID] {
        let rows = try rows(&g, of: x)
        let hidden = g.node("Relu", g.node("Add", g.node("MatMul", rows, try g.weights([24, 40])), try g.weights([40])))
        let sum = g.node("Add", g.node("MatMul", hidden, try g.weights([40, 24])), rows)
        return [sum, g.node("Shape", sum), rows]
    }

    private func rows(_ g: inout FusionGraph, of x: ValueID) throws -> ValueID {
        let first = g.node("Gather", x, g.constant(try Tensor(scalar: Int64(0))), attributes: NodeAttributes(["axis": .int(1)]))
        let places = g.node("NonZero", g.node("Greater", first, try g.scalar(0)))
        return g.node("Gather", x, g.node("Squeeze", places, g.constant(try Tensor([0] as [Int64]))))
    }

    /// `count` of 30 rows begin with a number above 0.
    private func input(_ count: Int, seed: UInt64 = 7) throws -> Tensor {
        var values = try pseudoRandom([30, 24], seed: seed).array(of: Float.self)
        for row in 0..<30 { values[row * 24] = row * 7 % 30 < count ? 1 + abs(values[row * 24]) : -1 }
        return try Tensor(values, shape: Shape([30, 24]))
    }

    private func expectSame(_ found: [String: Tensor], _ expected: [String: Tensor]) throws {
        for (name, tensor) in expected {
            let other = try #require(found[name])
            #expect(other.shape == tensor.shape)
            guard tensor.dtype == .float32 else {
                #expect(try other.array(of: Int64.self) == tensor.array(of: Int64.self))
                continue
            }
            try expectClose(other, tensor.array(of: Float.self), within: Tolerance(ofLargest: 1e-6))
        }
    }

    /// The steps behind are fused, packed and planned as others are, for the shapes that recur, and run as they are where shapes never do.
    @Test(arguments: [false, true]) func stepsBehindNonZero(isFrugal: Bool) throws {
        var g = FusionGraph()
        let x = try g.input([30, 24])
        g.graph.outputs = try layers(&g, of: x)
        let (planned, plain) = (
            try session(g.graph, optimize: true, isFrugal: isFrugal), try session(g.graph, optimize: false)
        )
        let name = g.graph.values[x].name
        let counts = [12, 12, 5, 12, 0, 30, 1, 2, 3, 4, 6, 7, 8, 12, 9, 9, 25, 25]
        for (seed, count) in counts.enumerated() {
            let given = [name: try input(count, seed: UInt64(seed + 1))]
            for watchesParts in [true, false] {
                let kernels = Kernels(watchesParts: watchesParts)
                try expectSame(planned.run(given, observer: kernels), plain.run(given))
                // From its second run on, a shape has a plan, in which products start from what is added to them.
                let isPlanned = watchesParts && !isFrugal
                if seed == 1 || seed == counts.count - 1 {
                    #expect(kernels.names.contains { $0.hasPrefix("Add") } == !isPlanned, "\(kernels.names)")
                }
            }
        }
        planned.releaseMemory()
        let given = [name: try input(12)]
        try expectSame(planned.run(given), plain.run(given))
    }

    /// Small results of known shapes, and views of them, behind what isn't known: each run has its own.
    @Test func knownShapesBehindUnknownOnes() throws {
        var g = FusionGraph()
        let x = try g.input([30, 24])
        let rows = try rows(&g, of: x)
        let size = g.node("Size", rows)
        let pair = g.constant(try Tensor([1, 1] as [Int64]))
        let sum = g.node("ReduceSum", g.node("Relu", rows), attributes: NodeAttributes(["keepdims": .int(0)]))
        let flat = g.node("Reshape", sum, g.constant(try Tensor([1] as [Int64])))
        g.graph.outputs = [
            g.node("Reshape", size, pair), g.node("Add", size, size), size, flat, g.node("Exp", g.node("Neg", flat)),
        ]
        let (planned, plain) = (try session(g.graph, optimize: true), try session(g.graph, optimize: false))
        for count in [3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 3, 14, 14, 3, 14] {
            let given = [g.graph.values[x].name: try input(count, seed: UInt64(count))]
            try expectSame(planned.run(given), plain.run(given))
        }
    }

    /// Rows of rows: parts behind parts, more of them than have plans.
    @Test func partsBehindParts() throws {
        var g = FusionGraph()
        let x = try g.input([30, 24])
        var (rows, outputs): (ValueID, [ValueID]) = (x, [])
        for level in 0..<12 {
            let some = try self.rows(&g, of: rows)
            rows = g.node("Sub", g.node("Tanh", g.node("Mul", some, try g.scalar(1.5))), try g.scalar(0.05))
            if level % 4 == 0 { outputs.append(rows) }
        }
        g.graph.outputs = outputs + [rows]
        let (planned, plain) = (try session(g.graph, optimize: true), try session(g.graph, optimize: false))
        for count in [20, 20, 7, 0, 20] {
            let given = [g.graph.values[x].name: try input(count)]
            try expectSame(planned.run(given), plain.run(given))
        }
    }

    /// An input that steps behind read by its default, and by another value.
    @Test func defaultsOfInputs() throws {
        var g = FusionGraph()
        let x = try g.input([30, 24])
        let bias = try g.weights([40])
        g.graph.inputs.append(bias)
        let rows = try rows(&g, of: x)
        let sum = g.node("Add", g.node("MatMul", rows, try g.weights([24, 40])), bias)
        g.graph.outputs = [g.node("Exp", g.node("Neg", g.node("Relu", sum)))]
        let (planned, plain) = (try session(g.graph, optimize: true), try session(g.graph, optimize: false))
        let other = [g.graph.values[bias].name: try pseudoRandom([40], seed: 99)]
        for more in [[:], other, [:], other] {
            let given = [g.graph.values[x].name: try input(9)].merging(more) { $1 }
            try expectSame(planned.run(given), plain.run(given))
        }
    }
}
