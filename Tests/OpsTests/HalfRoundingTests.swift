import GraphRuntime
import Ops
import Synchronization
import Testing

/// Numbers of 16 bits in graphs of several nodes.
@Suite struct HalfRoundingTests {
    /// x · 100 / 100, which leaves the range of float16 on its way.
    private func chain(_ dtype: DType, handsOutProduct: Bool = false) throws -> Graph {
        var graph = Graph()
        let type = ValueType.tensor(dtype, [.fixed(2)])
        let x = graph.addValue(ValueDeclaration(name: "x", type: type))
        let hundred = graph.addValue(ValueDeclaration(name: "hundred"))
        let product = graph.addValue(ValueDeclaration(name: "product", type: type))
        let y = graph.addValue(ValueDeclaration(name: "y", type: type))
        graph.initializers[hundred] = try rounded([100], [], dtype)
        graph.inputs = [x]
        graph.outputs = handsOutProduct ? [product, y] : [y]
        graph.nodes = [
            Node(name: "mul", identity: OperatorIdentity(type: "Mul", version: 14), inputs: [x, hundred], outputs: [product]),
            Node(name: "div", identity: OperatorIdentity(type: "Div", version: 14), inputs: [product, hundred], outputs: [y]),
        ]
        return graph
    }

    private func rounded(_ values: [Float], _ dimensions: [Int], _ dtype: DType) throws -> Tensor {
        let shape = try Shape(dimensions)
        return dtype == .float16
            ? try Tensor(values.map { Float16($0) }, shape: shape) : try Tensor(values.map { BFloat16($0) }, shape: shape)
    }

    private func run(_ graph: Graph, _ x: Tensor, _ halfRounding: HalfRounding, optimize: Bool) throws -> [String: [Float]] {
        let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1), halfRounding: halfRounding)
        let results = try Session(graph: graph, library: StandardOperators.library, options: options).run(["x": x])
        return try results.mapValues { tensor in
            #expect(tensor.dtype == x.dtype)
            return try HalfPrecision.widen(tensor).array(of: Float.self)
        }
    }

    @Test(arguments: [true, false]) func staysInRangeBetweenNodes(optimize: Bool) throws {
        let x = try rounded([2000, 3], [2], .float16)
        #expect(try run(chain(.float16), x, .outputs, optimize: optimize) == ["y": [2000, 3]])
        #expect(try run(chain(.float16), x, .nodes, optimize: optimize) == ["y": [.infinity, 3]])
        let both = try run(chain(.float16, handsOutProduct: true), x, .outputs, optimize: optimize)
        #expect(both == ["product": [.infinity, 300], "y": [2000, 3]])
    }

    /// 1.0078125 · 100 is 100.78125, for which bfloat16 has 100.5 or 101.
    @Test(arguments: [true, false]) func keepsDigitsOfBFloat16(optimize: Bool) throws {
        let x = try rounded([1.0078125, 3], [2], .bfloat16)
        #expect(try run(chain(.bfloat16), x, .outputs, optimize: optimize) == ["y": [1.0078125, 3]])
        let product = try #require(try run(chain(.bfloat16, handsOutProduct: true), x, .nodes, optimize: optimize)["product"])
        #expect(product == [101, 300])
    }

    /// Between a Cast to 16 bits and one from them numbers are rounded, by whichever Casts there are.
    @Test(arguments: [true, false]) func roundsBetweenCasts(optimize: Bool) throws {
        func cast(_ dtype: DType) -> NodeAttributes { NodeAttributes(["to": .int(Int64(dtype.rawValue))]) }
        let like = try rounded([0], [1], .float16)
        let chains: [[(type: String, attributes: NodeAttributes)]] = [
            [("Cast", cast(.float16)), ("Cast", cast(.float32))],
            [("Cast", cast(.float16)), ("Cast", cast(.float16)), ("Cast", cast(.float32))],
            [("CastLike", NodeAttributes()), ("Cast", cast(.float32))],
        ]
        for chain in chains {
            var graph = Graph()
            var last = graph.addValue(ValueDeclaration(name: "x", type: .tensor(.float32, [.fixed(1)])))
            graph.inputs = [last]
            let likeID = graph.addValue(ValueDeclaration(name: "like"))
            graph.initializers[likeID] = like
            for (number, step) in chain.enumerated() {
                let next = graph.addValue(ValueDeclaration(name: "v\(number)"))
                let inputs = step.type == "CastLike" ? [last, likeID] : [last]
                graph.nodes.append(
                    Node(
                        name: "n\(number)", identity: OperatorIdentity(type: step.type, version: 19), inputs: inputs,
                        outputs: [next], attributes: step.attributes))
                last = next
            }
            graph.outputs = [last]
            let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1))
            let session = try Session(graph: graph, library: StandardOperators.library, options: options)
            let y = try #require(try session.run(["x": Tensor([Float(1.0001)], shape: Shape([1]))]).values.first)
            #expect(try y.array(of: Float.self) == [1], "\(chain.map(\.type))")
        }
    }

    /// Random numbers are drawn once, whoever reads them.
    @Test(arguments: [true, false]) func drawsOnce(optimize: Bool) throws {
        var graph = Graph()
        let x = graph.addValue(ValueDeclaration(name: "x", type: .tensor(.float16, [.fixed(64)])))
        let (noise, sum) = (graph.addValue(ValueDeclaration(name: "noise")), graph.addValue(ValueDeclaration(name: "sum")))
        graph.inputs = [x]
        graph.outputs = [noise, sum]
        graph.nodes = [
            Node(
                name: "draw", identity: OperatorIdentity(type: "RandomNormalLike", version: 22), inputs: [x], outputs: [noise]),
            Node(name: "add", identity: OperatorIdentity(type: "Add", version: 14), inputs: [noise, x], outputs: [sum]),
        ]
        let results = try run(graph, rounded([Float](repeating: 0, count: 64), [64], .float16), .outputs, optimize: optimize)
        #expect(results["noise"] == results["sum"] && Set(results["noise"] ?? []).count > 32)
    }

    /// What is rounded after every node isn't fused: fused operators keep what is between to themselves.
    @Test func fusesNothingThatIsRounded() throws {
        var g = FusionGraph(.float16)
        let x = try g.input([2, 3])
        let y = g.node("Mul", x, g.node("Sigmoid", x))
        g.graph.outputs = [y]
        let input = try #require(g[x])
        for (halfRounding, fused) in [(HalfRounding.outputs, ["SiLU": 1]), (.nodes, [:])] {
            let session = try Session(
                graph: g.graph, library: StandardOperators.library, options: SessionOptions(halfRounding: halfRounding))
            #expect(try session.prepare([g.graph.values[x].name: input]).fusionCounts == fused)
        }
    }

    private final class Watch: RunObserver {
        let types = Mutex<[String: [DType?]]>([:])

        func didRun(_ event: NodeEvent) {
            let found = event.inputs.map { $0.flatMap { try? $0.asTensor().dtype } }
            types.withLock { $0[event.node.identity.type] = found }
        }
    }

    /// Widened ahead of the runs they would take twice their memory.
    @Test(arguments: [DType.float16, .bfloat16]) func leavesWeightsAsTheyAre(dtype: DType) throws {
        var g = FusionGraph(dtype)
        let x = try g.input([4, 64])
        let product = g.node("MatMul", x, try g.weights([64, 80], isInFile: true))
        let y = g.node("Sigmoid", g.node("Add", product, try g.weights([80])))
        let watch = Watch()
        _ = try g.result(y, options: SessionOptions(threads: ThreadPool(threadCount: 1)), observer: watch)
        #expect(watch.types.withLock { $0["MatMul"] } == [.float32, dtype, dtype])
        #expect(watch.types.withLock { $0["Sigmoid"] } == [.float32])
    }

    /// A file may give a node float32 beside half precision: its output is what the file's type of the first says.
    @Test(arguments: HalfRounding.allCases) func keepsTypesOfMixedInputs(halfRounding: HalfRounding) throws {
        var g = FusionGraph(.float16)
        let x = try g.input([2, 3, 5])
        g.dtype = .float32
        let parameters = try [2, 1, 0, 1].map { g.constant(try floats(Array(repeating: $0, count: 3), [3])) }
        let y = g.node("BatchNormalization", x, parameters[0], parameters[1], parameters[2], parameters[3])
        let input = try HalfPrecision.widen(try #require(g[x])).array(of: Float.self)
        for optimize in [true, false] {
            let options = SessionOptions(
                optimize: optimize, threads: ThreadPool(threadCount: 1), halfRounding: halfRounding)
            let found = try g.result(y, options: options)
            #expect(found.dtype == .float16)
            try expectClose(found, input.map { Double(2 * $0 + 1) }, shape: [2, 3, 5], bound: 1e-3)
        }
    }

    /// Nodes that move halves in a row are as many as a file likes.
    @Test(arguments: [true, false]) func readsLongRows(optimize: Bool) throws {
        var g = FusionGraph(.float16)
        let x = try g.input([2, 3])
        var last = x
        for _ in 0..<20_000 { last = g.node("Transpose", last) }
        let y = g.node("Neg", last)
        let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1))
        let found = try HalfPrecision.widen(g.result(y, options: options)).array(of: Float.self)
        #expect(try found == HalfPrecision.widen(#require(g[x])).array(of: Float.self).map { -$0 })
    }
}
