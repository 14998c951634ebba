import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Bounds and refusals of the recurrent operators, and their results with weights that kernels pack, as the equations of ONNX state them;
/// results are compared with ONNX's and ONNX Runtime's in `NodeCases` too.
struct RecurrentTests {
    private func lstm(
        length: Int = 2, batch: Int = 3, lengths: [Int32]? = nil, _ attributes: [(String, AttributeValue)] = []
    ) throws -> [Tensor] {
        var list = NodeAttributes()
        for (name, value) in attributes { list[name] = value }
        return try run(
            "LSTM", version: 14, attributes: list,
            inputs: [
                pseudoRandom([length, batch, 4]), pseudoRandom([1, 20, 4], seed: 2), pseudoRandom([1, 20, 5], seed: 3), nil,
                try lengths.map { try Tensor($0) },
            ], outputCount: 3)
    }

    /// Weights of halves are packed as they are, and widened once where they aren't packed.
    @Test(arguments: [("LSTM", 4), ("GRU", 3), ("RNN", 1)], [DType.float16, .bfloat16]) func weightsOfHalves(
        operation: (type: String, gates: Int), dtype: DType
    ) throws {
        for isInFile in [true, false] {
            var g = FusionGraph(dtype)
            let x = try g.input([5, 2, 12])
            let w = try g.weights([1, operation.gates * 24, 12], isInFile: isInFile)
            let r = try g.weights([1, operation.gates * 24, 24], isInFile: isInFile)
            let attributes = NodeAttributes(["hidden_size": .int(24)])
            let y = g.outputs(1, of: operation.type, [x, w, r], attributes: attributes)[0]
            let (fused, written, _) = try g.results(y, threads: ThreadPool(threadCount: 2))
            #expect(fused.dtype == dtype)
            let bound = dtype == .float16 ? 1e-3 : 8e-3
            try expectClose(
                HalfPrecision.widen(fused), HalfPrecision.widen(written).array(of: Float.self),
                within: Tolerance(ofLargest: bound))
        }
    }

    @Test func emptySequencesKeepTheirState() throws {
        let empty = try lstm(length: 0)
        #expect(empty[0].shape.dimensions == [0, 1, 3, 5])
        #expect(try empty[1].array(of: Float.self).allSatisfy { $0 == 0 })
        #expect(try lstm(batch: 0)[2].shape.dimensions == [1, 0, 5])
        let mixed = try lstm(lengths: [0, 1, 2])
        let (all, last) = (try mixed[0].array(of: Float.self), try mixed[1].array(of: Float.self))
        #expect(all[..<5].allSatisfy { $0 == 0 } && last[..<5].allSatisfy { $0 == 0 })
        #expect(all[15..<25].allSatisfy { $0 == 0 })
        #expect(Array(all[5..<10]) == Array(last[5..<10]))
        #expect(Array(all[25..<30]) == Array(last[10..<15]))
    }

    @Test func reverseIsForwardOfTheReversedSequence() throws {
        let x = try pseudoRandom([3, 1, 2])
        let values = try x.array(of: Float.self)
        let mirrored = try floats([4, 5, 2, 3, 0, 1].map { values[$0] }, [3, 1, 2])
        let (w, r) = (try pseudoRandom([1, 9, 2], seed: 2), try pseudoRandom([1, 9, 3], seed: 3))
        var reverse = NodeAttributes()
        reverse["direction"] = .string("reverse")
        let a = try run("GRU", version: 22, attributes: reverse, inputs: [x, w, r], outputCount: 2)
        let b = try run("GRU", version: 22, inputs: [mirrored, w, r], outputCount: 2)
        try expectClose(a[1], b[1].array(of: Float.self), within: Tolerance(ofLargest: 1e-6))
    }

    @Test func refusals() throws {
        let wrong: [(String, AttributeValue, String)] = [
            ("direction", .string("sideways"), "direction should be forward, reverse or bidirectional, found \"sideways\""),
            (
                "direction", .string("bidirectional"),
                "should have shapes [2, 20, 4] and [2, 20, 5], found [1, 20, 4] and [1, 20, 5]"
            ),
            ("activations", .strings(["Sigmoid"]), "attribute activations should name 3 functions, found 1"),
            ("activations", .strings(["Sigmoid", "Tanh", "Step"]), "the activation function \"Step\" isn't known"),
            ("hidden_size", .int(6), "attribute hidden_size is 6, the weights are made for 5"),
            ("hidden_size", .int(.min), "attribute hidden_size is -9223372036854775808, the weights are made for 5"),
            ("clip", .float(.nan), "attribute clip should be 0 or more, found nan"),
        ]
        for (name, value, reason) in wrong { expectError(reason) { try lstm([(name, value)]) } }
        expectError("sequence_lens should lie in 0...2, found [0, 1, 3]") { try lstm(lengths: [0, 1, 3]) }
        expectError("sequence_lens should lie in 0...2, found [0, -1, 1]") { try lstm(lengths: [0, -1, 1]) }
        expectError("sequence_lens should have shape [3], found [2]") { try lstm(lengths: [0, 1]) }
    }
}

/// Recurrent operators on constant weights, compared with ``RecurrentOracle``.
struct PackedRecurrentTests {
    /// Odd sizes, sizes of several panels, and sizes for which threads share a step.
    static let sizes: [(length: Int, batch: Int, input: Int, hidden: Int)] = [
        (1, 1, 3, 5), (4, 1, 7, 16), (5, 3, 9, 33), (3, 15, 4, 21), (6, 2, 40, 96), (3, 1, 24, 181), (0, 2, 3, 4),
    ]

    @Test(arguments: ["LSTM", "GRU", "RNN"], sizes.indices) func equalsTheEquations(_ type: String, index: Int) throws {
        let size = Self.sizes[index]
        for direction in ["forward", "reverse", "bidirectional"] {
            for isBatchFirst in [false, true] {
                for isFull in [false, true] {
                    for isLate in type == "GRU" ? [false, true] : [false] {
                        var oracle = RecurrentOracle(type: type, direction: direction, isBatchFirst: isBatchFirst)
                        (oracle.length, oracle.batch, oracle.input, oracle.hidden) = size
                        oracle.resetsLate = isLate
                        oracle.isFull = isFull
                        try compare(oracle)
                    }
                }
            }
        }
    }

    @Test func functionsAndCoupledGates() throws {
        for (type, names) in [
            ("LSTM", ["HardSigmoid", "Relu", "Softsign"]), ("LSTM", ["Sigmoid", "ThresholdedRelu", "Tanh"]),
            ("GRU", ["HardSigmoid", "LeakyRelu"]), ("RNN", ["Affine"]), ("RNN", ["Softplus"]),
        ] {
            var oracle = RecurrentOracle(type: type, direction: "forward", isBatchFirst: false)
            (oracle.length, oracle.batch, oracle.input, oracle.hidden) = (4, 2, 6, 19)
            oracle.functions = names
            oracle.couplesGates = type == "LSTM"
            for isFull in [false, true] {
                oracle.isFull = isFull
                try compare(oracle)
            }
        }
    }

    private func compare(_ oracle: RecurrentOracle) throws {
        let tensors = try oracle.makeTensors()
        let expected = try oracle.run(tensors)
        for threads in [1, 2, 5] {
            let found = try oracle.runSession(tensors, threads: threads)
            for (own, values) in zip(found, expected) {
                let error = try relativeError(own, values.map { Float($0) })
                #expect(error < 2e-6, "\(oracle), \(threads) threads")
            }
        }
    }
}

/// The equations of ONNX's LSTM-22, GRU-22 and RNN-22 in double precision, number by number.
private struct RecurrentOracle {
    let type: String
    let direction: String
    let isBatchFirst: Bool
    var (length, batch, input, hidden) = (1, 1, 1, 1)
    var resetsLate = false
    /// With biases, lengths, first states, a clip, and peepholes where there are such.
    var isFull = false
    var couplesGates = false
    var functions: [String]?

    init(type: String, direction: String, isBatchFirst: Bool) {
        (self.type, self.direction, self.isBatchFirst) = (type, direction, isBatchFirst)
    }

    private var gates: Int { type == "LSTM" ? 4 : type == "GRU" ? 3 : 1 }
    private var directions: Int { direction == "bidirectional" ? 2 : 1 }
    private var outputs: Int { type == "LSTM" ? 3 : 2 }
    private var clip: Double { isFull ? 0.75 : .infinity }

    private var attributes: NodeAttributes {
        var result = NodeAttributes()
        result["direction"] = .string(direction)
        result["layout"] = .int(isBatchFirst ? 1 : 0)
        result["hidden_size"] = .int(Int64(hidden))
        if resetsLate { result["linear_before_reset"] = .int(1) }
        if couplesGates { result["input_forget"] = .int(1) }
        if isFull { result["clip"] = .float(0.75) }
        if let functions { result["activations"] = .strings(functions) }
        return result
    }

    func makeTensors() throws -> [Tensor?] {
        let rows = gates * hidden
        let state = isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
        // Weights of numbers small enough that states don't all come to the functions' bounds.
        let scale = 1 / Float(max(hidden, 1)).squareRoot()
        func weights(_ dimensions: [Int], seed: UInt64) throws -> Tensor {
            let values = try pseudoRandom(dimensions, seed: seed).array(of: Float.self).map { 2 * scale * $0 }
            return try floats(values, dimensions)
        }
        var result: [Tensor?] = [
            try pseudoRandom(isBatchFirst ? [batch, length, input] : [length, batch, input]),
            try weights([directions, rows, input], seed: 2), try weights([directions, rows, hidden], seed: 3),
        ]
        guard isFull else { return result }
        let lengths = (0..<batch).map { Int32(max(length - $0 % 3, 0)) }
        result += [try pseudoRandom([directions, 2 * rows], seed: 4), try Tensor(lengths), try pseudoRandom(state, seed: 5)]
        if type == "LSTM" {
            result += [try pseudoRandom(state, seed: 6), try pseudoRandom([directions, 3 * hidden], seed: 7)]
        }
        return result
    }

    /// The second of two runs, in which the weights are packed.
    func runSession(_ tensors: [Tensor?], threads: Int) throws -> [Tensor] {
        var graph = Graph()
        let file = try MappedTensors([1, 2].compactMap { tensors[$0] })
        var given: [String: Tensor] = [:]
        let inputs = tensors.enumerated().map { index, tensor -> ValueID? in
            guard let tensor else { return nil }
            let id = graph.addValue(ValueDeclaration(name: "x\(index)"))
            if index == 1 || index == 2 {
                graph.initializers[id] = file.tensors[index - 1]
            } else {
                graph.inputs.append(id)
                given["x\(index)"] = tensor
            }
            return id
        }
        graph.outputs = (0..<outputs).map { graph.addValue(ValueDeclaration(name: "y\($0)")) }
        graph.nodes = [
            Node(
                name: "node", identity: OperatorIdentity(domain: "", type: type, version: 22), inputs: inputs,
                outputs: graph.outputs, attributes: attributes)
        ]
        let session = try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(threads: ThreadPool(threadCount: threads)))
        _ = try session.run(given)
        let results = try session.run(given)
        return try (0..<outputs).map { try #require(results["y\($0)"]) }
    }

    private func apply(_ place: Int, _ value: Double) -> Double {
        let defaults = type == "LSTM" ? ["Sigmoid", "Tanh", "Tanh"] : type == "GRU" ? ["Sigmoid", "Tanh"] : ["Tanh"]
        let x = min(max(value, -clip), clip)
        switch (functions ?? defaults)[place] {
        case "Sigmoid": return 1 / (1 + exp(-x))
        case "Tanh": return tanh(x)
        case "Relu": return max(x, 0)
        case "HardSigmoid": return min(max(Double(Float(0.2)) * x + 0.5, 0), 1)
        case "LeakyRelu": return x < 0 ? Double(Float(0.01)) * x : x
        case "ThresholdedRelu": return x < 1 ? 0 : x
        case "Softsign": return x / (1 + abs(x))
        case "Softplus": return log(1 + exp(x))
        default: return x
        }
    }

    func run(_ tensors: [Tensor?]) throws -> [[Double]] {
        func array(_ index: Int) throws -> [Double]? {
            guard index < tensors.count, let tensor = tensors[index] else { return nil }
            return try tensor.array(of: Float.self).map { Double($0) }
        }
        let (x, w, r) = (try array(0) ?? [], try array(1) ?? [], try array(2) ?? [])
        let (biases, firstHidden, firstCell, peepholes) = (try array(3), try array(5), try array(6), try array(7))
        let lengths =
            isFull ? try (tensors[4]?.array(of: Int32.self) ?? []).map { Int($0) } : Array(repeating: length, count: batch)
        let rows = gates * hidden
        var y = Array(repeating: 0.0, count: length * directions * batch * hidden)
        var (lastHidden, lastCell) = (Array(repeating: 0.0, count: directions * batch * hidden), [Double]())
        lastCell = lastHidden
        for d in 0..<directions {
            for b in 0..<batch {
                let place = (isBatchFirst ? b * directions + d : d * batch + b) * hidden
                var h = (0..<hidden).map { firstHidden?[place + $0] ?? 0 }
                var c = (0..<hidden).map { firstCell?[place + $0] ?? 0 }
                for step in 0..<lengths[b] {
                    let t = d == 1 || direction == "reverse" ? lengths[b] - 1 - step : step
                    let xRow = (isBatchFirst ? b * length + t : t * batch + b) * input
                    func fromInput(_ g: Int, _ j: Int) -> Double {
                        let row = d * rows + g * hidden + j
                        return (0..<input).reduce(biases?[2 * d * rows + g * hidden + j] ?? 0) {
                            $0 + w[row * input + $1] * x[xRow + $1]
                        }
                    }
                    func fromState(_ g: Int, _ j: Int, _ state: [Double]) -> Double {
                        let row = d * rows + g * hidden + j
                        return (0..<hidden).reduce(biases?[(2 * d + 1) * rows + g * hidden + j] ?? 0) {
                            $0 + r[row * hidden + $1] * state[$1]
                        }
                    }
                    (h, c) = advance(h, c, fromInput, fromState) { peepholes?[d * 3 * hidden + $0] ?? 0 }
                    let yRow = isBatchFirst ? (b * length + t) * directions + d : (t * directions + d) * batch + b
                    for j in 0..<hidden { y[yRow * hidden + j] = h[j] }
                }
                for j in 0..<hidden { (lastHidden[place + j], lastCell[place + j]) = (h[j], c[j]) }
            }
        }
        return Array([y, lastHidden, lastCell].prefix(outputs))
    }

    private func advance(
        _ h: [Double], _ c: [Double], _ fromInput: (Int, Int) -> Double, _ fromState: (Int, Int, [Double]) -> Double,
        _ peephole: (Int) -> Double
    ) -> ([Double], [Double]) {
        let all = 0..<hidden
        func sum(_ g: Int, _ j: Int) -> Double { fromInput(g, j) + fromState(g, j, h) }
        switch type {
        case "RNN": return (all.map { apply(0, sum(0, $0)) }, c)
        case "GRU":
            let (z, reset) = (all.map { apply(0, sum(0, $0)) }, all.map { apply(0, sum(1, $0)) })
            let passed = all.map { reset[$0] * h[$0] }
            let new = all.map { j in
                apply(1, fromInput(2, j) + (resetsLate ? reset[j] * fromState(2, j, h) : fromState(2, j, passed)))
            }
            return (all.map { (1 - z[$0]) * new[$0] + z[$0] * h[$0] }, c)
        default:
            let i = all.map { apply(0, sum(0, $0) + peephole($0) * c[$0]) }
            let f = all.map { couplesGates ? 1 - i[$0] : apply(0, sum(2, $0) + peephole(2 * hidden + $0) * c[$0]) }
            let cell = all.map { f[$0] * c[$0] + i[$0] * apply(1, sum(3, $0)) }
            let o = all.map { apply(0, sum(1, $0) + peephole(hidden + $0) * cell[$0]) }
            return (all.map { o[$0] * apply(2, cell[$0]) }, cell)
        }
    }
}
