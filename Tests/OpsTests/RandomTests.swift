import Foundation
import GraphRuntime
import Ops
import Testing

struct RandomTests {
    /// Runs once: without a seed two sessions draw differently.
    private func draw(_ type: String, _ attributes: NodeAttributes, inputs: [Tensor] = [], optimize: Bool = true) throws
        -> Tensor
    {
        var graph = Graph()
        for index in inputs.indices { graph.inputs.append(graph.addValue(ValueDeclaration(name: "x\(index)"))) }
        let output = graph.addValue(ValueDeclaration(name: "y"))
        graph.outputs = [output]
        graph.nodes = [
            Node(
                name: "node", identity: OperatorIdentity(type: type, version: 22), inputs: graph.inputs.map { $0 },
                outputs: [output], attributes: attributes)
        ]
        let session = try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1)))
        let given = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ("x\($0)", $1) })
        return try #require(try session.run(given)["y"])
    }

    private func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
        let mean = values.reduce(0, +) / Double(values.count)
        return (mean, (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot())
    }

    /// The bounds are five standard errors of 100000 draws.
    @Test func normalNumbers() throws {
        let attributes = NodeAttributes([
            "shape": .ints([100, 1000]), "mean": .float(3), "scale": .float(2), "seed": .float(1),
        ])
        let found = try draw("RandomNormal", attributes)
        #expect(found.dtype == .float32 && found.shape.dimensions == [100, 1000])
        let values = try found.array(of: Float.self).map { Double($0) }
        let (mean, deviation) = moments(values)
        #expect(abs(mean - 3) < 5 * 2 / 316.2)
        #expect(abs(deviation - 2) < 5 * 2 / 447.2)
        // 68.27% of a normal distribution lie within one deviation.
        let share = Double(values.count { abs($0 - 3) < 2 }) / 100_000
        #expect(abs(share - 0.6827) < 5 * 0.00147)
    }

    @Test func uniformNumbersOfTheInputsShape() throws {
        let like = try Tensor(Array(repeating: Float16(0), count: 100_000), shape: Shape([10, 10_000]))
        let attributes = NodeAttributes(["low": .float(-1), "high": .float(3), "seed": .float(5)])
        let found = try draw("RandomUniformLike", attributes, inputs: [like])
        #expect(found.dtype == .float16 && found.shape == like.shape)
        let values = try found.array(of: Float16.self).map { Double($0) }
        #expect(values.allSatisfy { $0 >= -1 && $0 <= 3 })
        let (mean, deviation) = moments(values)
        #expect(abs(mean - 1) < 5 * 1.1547 / 316.2)
        #expect(abs(deviation - 1.1547) < 0.02)
    }

    @Test func seeds() throws {
        func values(_ seed: Float?) throws -> [Float] {
            var attributes = NodeAttributes(["shape": .ints([8])])
            attributes["seed"] = seed.map { .float($0) }
            return try draw("RandomNormal", attributes).array(of: Float.self)
        }
        #expect(try values(1) == values(1))
        #expect(try values(1) != values(2))
        #expect(try values(nil) != values(nil))
    }

    @Test func samples() throws {
        let probabilities = try floats(Array(repeating: 0.3, count: 100_000), [100_000])
        let attributes = NodeAttributes(["dtype": .int(7), "seed": .float(3)])
        let draws = try draw("Bernoulli", attributes, inputs: [probabilities]).array(of: Int64.self)
        #expect(draws.allSatisfy { $0 == 0 || $0 == 1 })
        #expect(abs(Double(draws.reduce(0, +)) / 100_000 - 0.3) < 5 * 0.00145)
        let logits = try floats([0.2, 0.3, 0.5].map { Float(log($0)) } + [0, -.infinity, -.infinity], [2, 3])
        let classes = try draw(
            "Multinomial", NodeAttributes(["sample_size": .int(50_000), "seed": .float(4)]), inputs: [logits])
        #expect(classes.dtype == .int32 && classes.shape.dimensions == [2, 50_000])
        let rows = try classes.array(of: Int32.self)
        for (index, share) in [0.2, 0.3, 0.5].enumerated() {
            #expect(abs(Double(rows[..<50_000].count { $0 == Int32(index) }) / 50_000 - share) < 0.012)
        }
        #expect(rows[50_000...].allSatisfy { $0 == 0 })
    }
}
