import GraphRuntime
import Ops
import TestSupport
import Testing

/// Bounds and refusals of the recurrent operators; their results are compared with ONNX's and ONNX Runtime's in `NodeCases`.
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
