import Foundation
import GraphRuntime
import Ops
import Synchronization
import TestSupport
import Testing

/// y = x + the sum of a constant w, of which a packed form holds the sum alone.
private struct ToyAddSum: Operator {
    /// How often a constant was packed.
    final class Counter: Sendable {
        let count = Atomic(0)
    }

    let counter: Counter
    /// Whether each shape of x has a form of its own.
    var isOfShape = false
    var packed: PackedConstant?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard let constants = plan.constants, let weights = inputs[1]?.tensor else { return self }
        var result = self
        result.packed = constants.constant(weights, form: isOfShape ? "sum \(inputs[0]?.shape?.dimensions ?? [])" : "sum") {
            [counter] weights, _ throws(TensorError) in
            counter.count.add(1, ordering: .relaxed)
            return try Tensor([try weights.array(of: Float.self).reduce(0, +)])
        }
        return result
    }

    func run(_ context: inout RunContext) throws {
        let sum =
            try packed?.tensor(threads: context.threads).array(of: Float.self)[0]
            ?? context.input(1).array(of: Float.self).reduce(0, +)
        try context.input(0).withSpan(of: Float.self) { x in
            try context.output(0).withMutableSpan(of: Float.self) { y in
                for index in 0..<y.count { y[index] = x[index] + sum }
            }
        }
    }
}

@Suite struct PackedConstantTests {
    private let counter = ToyAddSum.Counter()

    /// y = x + Σw + Σw, by two nodes that share w.
    private func makeSession(isInFile: Bool, savesMemory: Bool = false, isOfShape: Bool = false) throws -> Session {
        let weights = try Tensor([Float(1), 2, 4])
        return try makeSession(
            isInFile ? try MappedTensors([weights]).tensors[0] : weights, savesMemory: savesMemory, isOfShape: isOfShape)
    }

    private func makeSession(
        _ weights: Tensor, savesMemory: Bool = false, isOfShape: Bool = false, sharing other: Session? = nil
    ) throws -> Session {
        let counter = counter
        let addSum = OperatorDefinition("AddSum", since: 1) { _ in ToyAddSum(counter: counter, isOfShape: isOfShape) }
        var graph = Graph()
        let ids = ["x", "w", "t", "y"].map { graph.addValue(ValueDeclaration(name: $0)) }
        graph.inputs = [ids[0]]
        graph.outputs = [ids[3]]
        graph.initializers[ids[1]] = weights
        graph.nodes = [(ids[0], ids[2]), (ids[2], ids[3])].map { input, output in
            Node(
                name: "", identity: OperatorIdentity(domain: "", type: "AddSum", version: 1), inputs: [input, ids[1]],
                outputs: [output])
        }
        return try Session(
            graph: graph, library: OperatorLibrary(registry: OperatorRegistry([addSum], newestOpset: ["": 17])),
            options: SessionOptions(threads: ThreadPool(threadCount: 2), savesMemory: savesMemory), sharingConstantsOf: other)
    }

    /// In the numbers that products read, each constant once; nothing of what is in memory anyway, or is only mapped.
    @Test func tellsHowManyBytesOfWeightsStay() throws {
        func bytes(
            of dtype: DType, isInFile: Bool = true, savesMemory: Bool = false, _ precision: Precision = .single,
            _ format: WeightFormat = .stored
        ) throws -> Int {
            let weights = try MutableTensor(dtype: dtype, shape: Shape([1000])).tensor
            var graph = Graph()
            let ids = ["w", "the same"].map { graph.addValue(ValueDeclaration(name: $0)) }
            let tensor = isInFile ? try MappedTensors([weights]).tensors[0] : weights
            for id in ids { graph.initializers[id] = tensor }
            graph.outputs = ids
            return try Session(
                graph: graph, library: StandardOperators.library,
                options: SessionOptions(
                    threads: ThreadPool(threadCount: 1), savesMemory: savesMemory, precision: precision, weights: format)
            ).keptWeightBytes
        }
        #expect(try bytes(of: .float32) == 4000)
        #expect(try bytes(of: .float32, .bfloat16) == 2000)
        #expect(try bytes(of: .float32, .int8) == 1000)
        #expect(try bytes(of: .float32, .bfloat16, .int8) == 1000)
        #expect(try bytes(of: .float32, .single, .int4) == 625)
        #expect(try bytes(of: .float16, .bfloat16) == 2000)
        #expect(try bytes(of: .float16, .single, .int8) == 1000)
        #expect(try bytes(of: .int64) == 8000)
        #expect(try bytes(of: .float32, isInFile: false) == 0)
        #expect(try bytes(of: .float32, savesMemory: true) == 0)
    }

    private func run(_ session: Session, _ x: [Float]) throws -> [Float] {
        try #require(try session.run(["x": Tensor(x)])["y"]).array(of: Float.self)
    }

    @Test func packsOnceForAllNodesAndPlans() throws {
        let session = try makeSession(isInFile: true)
        _ = try session.prepare(["x": Tensor([Float(0)])])
        #expect(counter.count.load(ordering: .relaxed) == 0)
        for x: Float in [3, 5] { expectEqual(try run(session, [x]), [x + 14]) }
        #expect(counter.count.load(ordering: .relaxed) == 1)
        // Another plan that needs the same form has it.
        for _ in 0..<3 {
            expectEqual(try run(session, [1, 2]), [15, 16])
            expectEqual(try run(session, [7]), [21])
        }
        #expect(counter.count.load(ordering: .relaxed) == 1)
    }

    /// Each shape has a form of its own: those of the two plans that ran last stay.
    @Test func keepsTheFormsOfTwoPlans() throws {
        let session = try makeSession(isInFile: true, isOfShape: true)
        for _ in 0..<3 {
            for x: [Float] in [[1], [1, 2]] { expectEqual(try run(session, x), x.map { $0 + 14 }) }
        }
        #expect(counter.count.load(ordering: .relaxed) == 2)
        expectEqual(try run(session, [1, 2, 3]), [15, 16, 17])
        #expect(counter.count.load(ordering: .relaxed) == 3)
        expectEqual(try run(session, [1, 2]), [15, 16])
        #expect(counter.count.load(ordering: .relaxed) == 3)
        expectEqual(try run(session, [1]), [15])
        #expect(counter.count.load(ordering: .relaxed) == 4)
    }

    /// Sessions of graphs with the same constants have their forms in common, as long as one of them keeps them.
    @Test func sharesFormsBetweenSessions() throws {
        let weights = try MappedTensors([Tensor([Float(1), 2, 4])])
        let first = try makeSession(weights.tensors[0])
        do {
            let second = try makeSession(weights.tensors[0], sharing: first)
            expectEqual(try run(second, [3]), [17])
            expectEqual(try run(first, [5]), [19])
            #expect(counter.count.load(ordering: .relaxed) == 1)
        }
        expectEqual(try run(first, [5]), [19])
        #expect(counter.count.load(ordering: .relaxed) == 1)
    }

    @Test(arguments: [false, true]) func doesNotPackWhereMemoryIsSpared(isInFile: Bool) throws {
        let session = try makeSession(isInFile: isInFile, savesMemory: true)
        expectEqual(try run(session, [3]), [17])
        #expect(counter.count.load(ordering: .relaxed) == 0)
    }

    /// A packed form of what is in memory itself is one more copy of it.
    @Test func packsSmallConstantsInMemoryAlone() throws {
        expectEqual(try run(makeSession(isInFile: false), [3]), [17])
        #expect(counter.count.load(ordering: .relaxed) == 1)
        let large = try MutableTensor(dtype: .float32, shape: Shape([1 + 16 << 20]))
        try large.fill(with: Float(0))
        expectEqual(try run(makeSession(large.finish()), [3]), [3])
        #expect(counter.count.load(ordering: .relaxed) == 1)
    }

    /// Numbers of 4 bits, whose panels hold their scales as well: another process finds them, and keeps nothing else.
    @Test func panelsOfBlocksInAFolder() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("panels-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let (rows, depth) = (40, 64)
        let numbers = try Tensor(
            (0..<rows * depth / 2).map { UInt8(truncatingIfNeeded: $0 * 37) }, shape: Shape([rows, depth / 32, 16]))
        let file = try MappedTensors([numbers, pseudoRandom([rows, depth / 32], seed: 2)])
        let input = try pseudoRandom([5, depth], seed: 1)
        func result(_ cache: PanelCache?) throws -> Tensor {
            var graph = Graph()
            let ids = ["x", "b", "scales", "y"].map { graph.addValue(ValueDeclaration(name: $0)) }
            (graph.inputs, graph.outputs) = ([ids[0]], [ids[3]])
            (graph.initializers[ids[1]], graph.initializers[ids[2]]) = (file.tensors[0], file.tensors[1])
            graph.nodes = [
                Node(
                    name: "node", identity: OperatorIdentity(domain: "com.microsoft", type: "MatMulNBits", version: 1),
                    inputs: Array(ids[0..<3]), outputs: [ids[3]],
                    attributes: NodeAttributes([
                        "N": .int(Int64(rows)), "K": .int(Int64(depth)), "bits": .int(4), "block_size": .int(32),
                    ]))
            ]
            let options = SessionOptions(threads: ThreadPool(threadCount: 2), panelCache: cache)
            let session = try Session(graph: graph, library: StandardOperators.library, options: options)
            return try #require(try session.run(["x": input])["y"])
        }
        let expected = try result(nil)
        var names: [[String]] = []
        for _ in 0..<2 {
            try expectSame(result(PanelCache(folder: folder.path)), expected)
            names.append(try FileManager.default.contentsOfDirectory(atPath: folder.path))
        }
        #expect(names[0].count == 1 && names[1] == names[0], "\(names)")
    }
}
