import GraphRuntime
import TestSupport
import Testing

/// y = x after x, twice as large.
private struct ToyDouble: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: .float32, shape: try inputs[0].shape.map { try Shape([2 * $0.count]) })]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0).array(of: Float.self)
        try context.output(0).withMutableSpan(of: Float.self) { y in
            for index in 0..<y.count { y[index] = x[index % x.count] }
        }
    }
}

@Suite struct ResourceLimitTests {
    private static let library = OperatorLibrary(
        registry: OperatorRegistry([OperatorDefinition("Double", since: 1) { _ in ToyDouble() }], newestOpset: ["": 1]))

    /// A chain that doubles its start: a constant of two elements, or an input.
    private static func chain(_ length: Int, ofConstant isConstant: Bool = true) throws -> Graph {
        var graph = Graph()
        var last = graph.addValue(ValueDeclaration(name: "x"))
        if isConstant { graph.initializers[last] = try Tensor([1, 2] as [Float]) } else { graph.inputs = [last] }
        for index in 0..<length {
            let next = graph.addValue(ValueDeclaration(name: "y\(index)"))
            graph.nodes.append(
                Node(name: "n\(index)", identity: OperatorIdentity(type: "Double", version: 1), inputs: [last], outputs: [next])
            )
            last = next
        }
        graph.outputs = [last, last]
        return graph
    }

    private static func options(_ limits: ResourceLimits, optimize: Bool = true) -> SessionOptions {
        var options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1))
        options.limits = limits
        return options
    }

    /// What goes beyond the budget stays in the graph, and the results are the same.
    @Test func foldingStopsAtItsBudget() throws {
        for (budget, kept) in [(0, 12), (8, 12), (16, 11), (16 + 32, 10), (1 << 20, 0)] {
            var limits = ResourceLimits()
            limits.foldedBytes = budget
            let session = try Session(graph: Self.chain(12), library: Self.library, options: Self.options(limits))
            #expect(try session.prepare([:]).nodeCount == kept, "\(budget) bytes")
            let values = try session.run(values: [:])
            #expect(values.count == 2)
            for value in values { #expect(try value.asTensor().array(of: Float.self) == (0..<8192).map { Float($0 % 2 + 1) }) }
        }
    }

    /// 256 MB and four times the constants, where nothing is said.
    @Test func foldingHasADefaultBudget() throws {
        let before = TensorStorage.currentBytes
        let session = try Session(graph: Self.chain(40), library: Self.library, options: Self.options(ResourceLimits()))
        #expect(TensorStorage.currentBytes - before < 600 << 20)
        expectError("bytes, expected at most") { try session.run(values: [:]) }
    }

    @Test(arguments: [true, false]) func runsStayWithinTheirLimit(optimize: Bool) throws {
        var limits = ResourceLimits()
        limits.runBytes = 8 << 20
        let input = try Tensor([Float](repeating: 1, count: 1024))
        let small = try Session(
            graph: Self.chain(8, ofConstant: false), library: Self.library, options: Self.options(limits, optimize: optimize))
        #expect(try small.run(["x": input]).values.first?.count == 1 << 18)
        let large = try Session(
            graph: Self.chain(30, ofConstant: false), library: Self.library, options: Self.options(limits, optimize: optimize))
        var taken = Int.max
        // Tests that run meanwhile take memory too: one undisturbed run is enough.
        for _ in 0..<8 where taken >= 64 << 20 {
            let before = TensorStorage.allocatedBytes
            do {
                _ = try large.run(["x": input])
                Issue.record("expected an error")
            } catch let error as GraphError {
                #expect(
                    optimize && error.kind == .limit
                        && error.message.contains("bytes, expected at most 8388608, the limit of a run"))
            } catch let error as RunError {
                #expect(!optimize && error.kind == .limit && error.message.contains("16777216 bytes, expected at most 8388608"))
            }
            taken = min(taken, TensorStorage.allocatedBytes - before)
        }
        #expect(taken < 64 << 20)
    }

    /// Sizes whose sum no integer holds.
    @Test func sizesThatOverflow() throws {
        let session = try Session(
            graph: Self.chain(37, ofConstant: false), library: Self.library, options: Self.options(ResourceLimits()))
        expectError("expected at most") { try session.run(["x": Tensor([Float](repeating: 1, count: 1024))]) }
    }

    /// Shapes are told apart by their extents, however long their texts.
    @Test func plansOfManyAxes() throws {
        let session = try Session(
            graph: Self.chain(1, ofConstant: false), library: Self.library, options: Self.options(ResourceLimits()))
        var extents = [Int](repeating: 1, count: 64)
        for (axis, extent) in [(31, 2), (32, 3), (31, 5)] {
            extents[axis] = extent
            let count = extents.reduce(1, *)
            let input = try Tensor((0..<count).map { Float($0) }, shape: Shape(extents))
            #expect(try session.run(["x": input])["y0"]?.array(of: Float.self) == (0..<2 * count).map { Float($0 % count) })
        }
    }

    /// Tens of thousands of nodes and outputs take no time that grows with their square.
    @Test(.timeLimit(.minutes(20))) func manyOutputs() throws {
        var graph = Graph()
        let input = graph.addValue(ValueDeclaration(name: "x"))
        graph.inputs = [input]
        for index in 0..<20_000 {
            let output = graph.addValue(ValueDeclaration(name: "y\(index)"))
            graph.nodes.append(
                Node(name: "", identity: OperatorIdentity(type: "Double", version: 1), inputs: [input], outputs: [output]))
            graph.outputs += [output, output]
        }
        let session = try Session(graph: graph, library: Self.library, options: Self.options(ResourceLimits()))
        #expect(try session.run(values: ["x": .tensor(Tensor([1] as [Float]))]).count == 40_000)
    }
}
