import GraphRuntime
import Ops
import Synchronization
import TestSupport
import Testing

/// Constants that a session may be given other values for.
@Suite struct ReplacedConstantTests {
    private static func weights(_ seed: Int, _ k: Int, _ n: Int) throws -> Tensor {
        try Tensor((0..<k * n).map { Float(($0 * 7 + seed * 13) % 31) / 31 - 0.5 }, shape: Shape([k, n]))
    }

    /// x · W + b, and whether the session packs W.
    private static func graph(_ weight: Tensor, replaceable: Bool) throws -> (Graph, ValueID) {
        var graph = Graph()
        let shape: [Dimension] = [.unknown, .fixed(weight.shape[0])]
        let x = graph.addValue(ValueDeclaration(name: "x", type: .tensor(.float32, shape)))
        let w = graph.addValue(ValueDeclaration(name: "w"))
        let b = graph.addValue(ValueDeclaration(name: "b"))
        let (product, sum) = (graph.addValue(ValueDeclaration(name: "p")), graph.addValue(ValueDeclaration(name: "y")))
        graph.inputs = [x]
        graph.outputs = [sum]
        graph.initializers = [w: weight, b: try Tensor((0..<weight.shape[1]).map { Float($0) })]
        graph.nodes = [
            Node(name: "m", identity: OperatorIdentity(type: "MatMul", version: 13), inputs: [x, w], outputs: [product]),
            Node(name: "a", identity: OperatorIdentity(type: "Add", version: 14), inputs: [product, b], outputs: [sum]),
        ]
        if replaceable { graph.replaceable = [w] }
        return (graph, w)
    }

    @Test(arguments: [true, false], [(1, 8, 8), (64, 96, 128), (300, 64, 200)])
    func runsWithTheNewValues(optimize: Bool, extents: (m: Int, k: Int, n: Int)) throws {
        let (m, k, n) = extents
        let x = try Tensor((0..<m * k).map { Float($0 % 17) / 17 - 0.4 }, shape: Shape([m, k]))
        let (first, second) = (try Self.weights(1, k, n), try Self.weights(2, k, n))
        let (graph, id) = try Self.graph(first, replaceable: true)
        let options = SessionOptions(optimize: optimize)
        let session = try Session(graph: graph, library: StandardOperators.library, options: options)
        func fresh(_ weight: Tensor) throws -> [Float] {
            let session = try Session(
                graph: Self.graph(weight, replaceable: true).0, library: StandardOperators.library, options: options)
            return try #require(try session.run(["x": x])["y"]).array(of: Float.self)
        }
        for weight in [first, second, first] {
            try session.replaceConstant(id, with: weight)
            #expect(try #require(try session.run(["x": x])["y"]).array(of: Float.self) == fresh(weight))
        }
        #expect(throws: GraphError.self) { try session.replaceConstant(id, with: Self.weights(1, k, n + 1)) }
        #expect(throws: GraphError.self) { try session.replaceConstant(id + 1, with: first) }
    }

    /// A constant that is computed when it is needed gives the same, and stays in memory in one form alone.
    @Test(arguments: [true, false], [(1, 8, 8), (64, 96, 128), (300, 64, 200)])
    func computesWhatIsNeeded(savesMemory: Bool, extents: (m: Int, k: Int, n: Int)) throws {
        let (m, k, n) = extents
        let x = try Tensor((0..<m * k).map { Float($0 % 17) / 17 - 0.4 }, shape: Shape([m, k]))
        let made = Mutex(0)
        func deferred(_ seed: Int) throws -> Tensor {
            try Tensor(dtype: .float32, shape: Shape([k, n])) {
                made.withLock { $0 += 1 }
                return try Self.weights(seed, k, n)
            }
        }
        func expected(_ seed: Int) throws -> [Float] {
            let (graph, _) = try Self.graph(Self.weights(seed, k, n), replaceable: true)
            let options = SessionOptions(savesMemory: savesMemory)
            let session = try Session(graph: graph, library: StandardOperators.library, options: options)
            return try #require(try session.run(["x": x])["y"]).array(of: Float.self)
        }
        let (graph, id) = try Self.graph(deferred(1), replaceable: true)
        let session = try Session(
            graph: graph, library: StandardOperators.library, options: SessionOptions(savesMemory: savesMemory))
        for seed in [1, 2, 1] {
            if seed != 1 || made.withLock({ $0 }) > 0 { try session.replaceConstant(id, with: deferred(seed)) }
            let before = made.withLock { $0 }
            for _ in 0..<3 { #expect(try #require(try session.run(["x": x])["y"]).array(of: Float.self) == expected(seed)) }
            #expect(made.withLock { $0 } == before + 1 || made.withLock { $0 } == before, "made again for each run")
        }
    }

    /// One that can't be computed is an error.
    @Test func failsWhereElementsCannotBeComputed() throws {
        struct Failure: Error {}
        for (m, k, n) in [(1, 8, 8), (64, 96, 128)] {
            let weight = try Tensor(dtype: .float32, shape: Shape([k, n])) { throw Failure() }
            let (graph, _) = try Self.graph(weight, replaceable: true)
            let x = try Tensor([Float](repeating: 1, count: m * k), shape: Shape([m, k]))
            #expect(throws: (any Error).self) {
                let session = try Session(graph: graph, library: StandardOperators.library)
                _ = try session.run(["x": x])
            }
        }
    }
}
