import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Attention and rotary embeddings against loops in double precision, written straight from the definitions.
@Suite struct AttentionTests {
    /// softmax(scale·Q·Kᵀ + bias)·V of [B, heads, L, E] operands; `bias` gives what is added to a score, -∞ for a key left out.
    private static func attend(
        _ q: [Float], _ k: [Float], _ v: [Float], _ extents: AttentionExtents, scale: Double,
        bias: (_ batch: Int, _ head: Int, _ row: Int, _ key: Int) -> Double = { _, _, _, _ in 0 }
    ) -> [Double] {
        var result: [Double] = []
        for item in 0..<extents.batch {
            for head in 0..<extents.heads {
                let keyHead = item * extents.keyHeads + head / (extents.heads / extents.keyHeads)
                for row in 0..<extents.queries {
                    let query = ((item * extents.heads + head) * extents.queries + row) * extents.width
                    let scores = (0..<extents.keys).map { key -> Double in
                        let start = (keyHead * extents.keys + key) * extents.width
                        let product = (0..<extents.width).reduce(0.0) { $0 + Double(q[query + $1]) * Double(k[start + $1]) }
                        return product * scale + bias(item, head, row, key)
                    }
                    let maximum = scores.max() ?? 0
                    let weights = scores.map { maximum == -.infinity ? 0 : exp($0 - maximum) }
                    let sum = weights.reduce(0, +)
                    for index in 0..<extents.valueWidth {
                        let total = (0..<extents.keys).reduce(0.0) {
                            $0 + weights[$1] * Double(v[(keyHead * extents.keys + $1) * extents.valueWidth + index])
                        }
                        result.append(sum == 0 ? 0 : total / sum)
                    }
                }
            }
        }
        return result
    }

    private func operands(_ e: AttentionExtents) throws -> [Tensor] {
        [
            try pseudoRandom([e.batch, e.heads, e.queries, e.width], seed: 1),
            try pseudoRandom([e.batch, e.keyHeads, e.keys, e.width], seed: 2),
            try pseudoRandom([e.batch, e.keyHeads, e.keys, e.valueWidth], seed: 3),
        ]
    }

    private func expectClose(_ found: Tensor, _ expected: [Double], _ bound: Float = 2e-6) throws {
        try TestSupport.expectClose(found, expected, within: Tolerance(ofLargest: Double(bound)))
    }

    private static func extents(
        _ batch: Int, _ heads: Int, _ keyHeads: Int, _ queries: Int, _ keys: Int, _ width: Int, _ valueWidth: Int
    ) -> AttentionExtents {
        AttentionExtents(
            batch: batch, heads: heads, keyHeads: keyHeads, queries: queries, keys: keys, width: width, valueWidth: valueWidth)
    }

    // One of everything, tails, grouped heads, several blocks of keys, several tiles of queries, parts of a head's queries for threads
    // of which the last has none left, nothing.
    static let cases = [
        extents(1, 1, 1, 1, 1, 1, 1), extents(2, 3, 3, 5, 7, 13, 3), extents(1, 2, 2, 64, 77, 40, 40),
        extents(1, 4, 2, 3, 5, 8, 8), extents(1, 6, 6, 1, 1500, 64, 64), extents(2, 4, 2, 12, 300, 20, 24),
        extents(1, 2, 2, 23, 95, 16, 16), extents(1, 2, 2, 9, 30, 16, 16),
        extents(1, 2, 1, 130, 2500, 16, 5), extents(1, 1, 1, 700, 70, 8, 8), extents(0, 2, 2, 3, 3, 4, 4),
        extents(1, 1, 1, 65, 20, 8, 8), extents(1, 1, 1, 150, 20, 8, 8), extents(1, 3, 3, 33, 5, 4, 4),
        extents(1, 2, 2, 0, 3, 4, 4),
        extents(1, 2, 2, 3, 0, 4, 4), extents(1, 2, 2, 3, 5, 4, 0),
    ]

    @Test(arguments: cases) func plain(extents: AttentionExtents) throws {
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: 1 / Double(extents.width).squareRoot())
        try expectClose(run("Attention", version: 23, inputs: given)[0], expected)
    }

    @Test(arguments: cases) func causalWithMask(extents: AttentionExtents) throws {
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let mask = try pseudoRandom([extents.queries, extents.keys], seed: 4)
        let added = try mask.array(of: Float.self)
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: 0.5) { _, _, row, key in
            key > row ? -.infinity : Double(added[row * extents.keys + key])
        }
        let attributes = NodeAttributes(["is_causal": .int(1), "scale": .float(0.5)])
        // Neither scores wanted nor not may change the result.
        try expectClose(run("Attention", version: 23, attributes: attributes, inputs: given + [mask])[0], expected)
        let empty: [Tensor?] = [nil, nil]
        let all = try run("Attention", version: 23, attributes: attributes, inputs: given + [mask] + empty, outputCount: 4)
        try expectClose(all[0], expected)
        #expect(all[3].shape.dimensions == [extents.batch, extents.heads, extents.queries, extents.keys])
    }

    // Large scores in the last block of keys, or ever larger ones: what was computed before must shrink. Scores of thousands are
    // themselves rounded to 1e-4.
    @Test(arguments: [40, 4000, 1e30, nil] as [Float?]) func maximumAmongLaterKeys(factor: Float?) throws {
        let extents = Self.extents(1, 1, 1, 35, 3000, 2, 4)
        var given = try operands(extents)
        var keys = try given[1].array(of: Float.self)
        if let factor {
            for index in 5000..<6000 { keys[index] *= factor }
        } else {
            for index in 0..<6000 { keys[index] *= Float(index) }
        }
        given[1] = try Tensor(keys, shape: given[1].shape)
        let values = try given.map { try $0.array(of: Float.self) }
        try expectClose(
            run("Attention", version: 23, inputs: given)[0],
            Self.attend(values[0], values[1], values[2], extents, scale: 1 / 2.0.squareRoot()),
            factor == nil || factor == 4000 ? 1e-4 : 2e-6)
    }

    @Test func maskedOutQueriesAreZero() throws {
        let extents = Self.extents(2, 2, 2, 4, 6, 3, 5)
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let allowed = (0..<24).map { $0 / 6 != 1 && $0 % 5 != 0 }
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: 1 / 3.0.squareRoot()) { _, _, row, key in
            allowed[row * 6 + key] ? 0 : -.infinity
        }
        let mask = try Tensor(allowed, shape: Shape([4, 6]))
        let found = try run("Attention", version: 23, inputs: given + [mask])[0]
        try expectClose(found, expected)
        #expect(try found.array(of: Float.self)[5..<10].allSatisfy { $0 == 0 })
    }

    /// Masks of every shape that broadcasts, added or choosing, with and without limits: several panels of queries and blocks of keys, each
    /// with a part.
    @Test(arguments: [[77], [35, 77], [1, 77], [2, 1, 35, 77], [3, 1, 77], [2, 3, 35, 77], [2, 1, 1, 77]])
    func masks(shape: [Int]) throws {
        for (queries, keys) in [(35, 77), (70, 500), (9, 1030)] {
            let e = Self.extents(2, 3, 3, queries, keys, 16, 20)
            let given = try operands(e)
            let values = try given.map { try $0.array(of: Float.self) }
            let extents = shape.map { $0 == 35 ? queries : $0 == 77 ? keys : $0 }
            let full = [1, 1, 1, 1].prefix(4 - extents.count) + extents
            let added = try pseudoRandom(Array(full), seed: 6).array(of: Float.self).map { $0 > 0.3 ? -Float.infinity : 4 * $0 }
            func place(_ indices: [Int]) -> Int { zip(indices, full).reduce(0) { $0 * $1.1 + min($1.0, $1.1 - 1) } }
            for isCausal in [false, true] {
                for isBoolean in [false, true] {
                    let expected = Self.attend(values[0], values[1], values[2], e, scale: 0.25) { item, head, row, key in
                        let mask = added[place([item, head, row, key])]
                        return isCausal && key > row ? -.infinity : isBoolean ? mask < 0 ? -.infinity : 0 : Double(mask)
                    }
                    let mask =
                        isBoolean
                        ? try Tensor(added.map { $0 >= 0 }, shape: Shape(extents)) : try Tensor(added, shape: Shape(extents))
                    let found = try run(
                        "Attention", version: 23,
                        attributes: NodeAttributes(["is_causal": .int(isCausal ? 1 : 0), "scale": .float(0.25)]),
                        inputs: given + [mask])[0]
                    try expectClose(found, expected)
                }
            }
        }
    }

    /// Exporters write float32's least number for -∞. A query of which all keys have it attends to all alike.
    @Test(arguments: [Float.infinity, .greatestFiniteMagnitude]) func leastNumbers(limit: Float) throws {
        let e = Self.extents(1, 2, 2, 40, 300, 8, 8)
        let given = try operands(e)
        let values = try given.map { try $0.array(of: Float.self) }
        let isOut = (0..<40 * 300).map { $0 / 300 == 3 || $0 % 300 > 5 * ($0 / 300) }
        var expected = Self.attend(values[0], values[1], values[2], e, scale: 1) { _, _, row, key in
            isOut[row * 300 + key] ? -.infinity : 0
        }
        if limit.isFinite {
            for head in 0..<2 {
                for index in 0..<8 {
                    let column = (0..<300).map { Double(values[2][(head * 300 + $0) * 8 + index]) }
                    expected[(head * 40 + 3) * 8 + index] = column.reduce(0, +) / 300
                }
            }
        }
        let mask = try Tensor(isOut.map { $0 ? -limit : 0 }, shape: Shape([40, 300]))
        let attributes = NodeAttributes(["scale": .float(1)])
        try expectClose(run("Attention", version: 23, attributes: attributes, inputs: given + [mask])[0], expected)
    }

    /// The keys of which no query of a panel needs any are left out, at either end of a block: one more, or one less, would show.
    @Test(arguments: [Float.infinity, .greatestFiniteMagnitude, 10000], [(77, 77), (35, 500), (70, 1030), (33, 20)])
    func keysBetweenBounds(limit: Float, sizes: (queries: Int, keys: Int)) throws {
        let (queries, keys) = sizes
        for width in [5, 16, 40] {
            let e = Self.extents(1, 2, 1, queries, keys, 8, width)
            let given = try operands(e)
            let values = try given.map { try $0.array(of: Float.self) }
            let ranges: [(Int) -> Range<Int>] = [
                { 0..<min($0 + 1, keys) }, { _ in 0..<keys * 3 / 4 }, { _ in keys / 3..<keys }, { _ in keys - 1..<keys },
                { _ in 0..<1 }, { min($0, keys - 1)..<keys }, { max(min($0, keys) - 5, 0)..<min($0 + 3, keys) },
            ]
            for range in ranges {
                let expected = Self.attend(values[0], values[1], values[2], e, scale: 1) { _, _, row, key in
                    range(row).contains(key) ? 0 : -.infinity
                }
                let numbers = (0..<queries * keys).map { range($0 / keys).contains($0 % keys) ? 0 : -limit }
                let mask = try Tensor(numbers, shape: Shape([queries, keys]))
                let attributes = NodeAttributes(["scale": .float(1)])
                try expectClose(run("Attention", version: 23, attributes: attributes, inputs: given + [mask])[0], expected)
            }
        }
    }

    @Test func layoutsOfThreeAxes() throws {
        let extents = Self.extents(2, 3, 3, 5, 7, 4, 6)
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let scale = 0.3
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: scale)
        // [B, heads, L, E] as [B, L, heads·E]
        func rowsFirst(_ values: [Float], rows: Int, width: Int) throws -> Tensor {
            let shape = try Shape([2, rows, 3 * width])
            return try Tensor(
                (0..<shape.count).map { index in
                    let (item, row, head, place) =
                        (index / (rows * 3 * width), index / (3 * width) % rows, index / width % 3, index % width)
                    return values[((item * 3 + head) * rows + row) * width + place]
                }, shape: shape)
        }
        let q = try rowsFirst(values[0], rows: 5, width: 4)
        let k = try rowsFirst(values[1], rows: 7, width: 4)
        let v = try rowsFirst(values[2], rows: 7, width: 6)
        let wanted = try rowsFirst(expected.map { Float($0) }, rows: 5, width: 6).array(of: Float.self).map { Double($0) }
        let attributes = NodeAttributes(["q_num_heads": .int(3), "kv_num_heads": .int(3), "scale": .float(0.3)])
        try expectClose(run("Attention", version: 24, attributes: attributes, inputs: [q, k, v])[0], wanted)

        let fused = ScaledDotProductAttention(heads: 3, scale: scale, keyOrder: .headsFirst)
        var context = RunContext(
            inputs: [q, given[1], v].map { .tensor($0) },
            outputs: [try MutableTensor(dtype: .float32, shape: Shape([2, 5, 18]))], threads: ThreadPool(threadCount: 2))
        let facts = try fused.inferOutputs(InferenceInputs(context.inputs.map { $0.map { Fact($0) } }))
        #expect(facts[0].shape?.dimensions == [2, 5, 18])
        try fused.run(&context)
        try expectClose(context.output(0).tensor, wanted)
    }

    /// Scores are scaled as they become weights; of a negative scale the least is the largest. Large ones come late.
    @Test(arguments: [0.3, -0.3, -40, 40, 0]) func scalesOfScores(scale: Double) throws {
        let extents = Self.extents(1, 1, 1, 40, 300, 8, 8)
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: scale)
        var fused = ScaledDotProductAttention(heads: 1, scale: 1, keyOrder: .headsFirst)
        fused.scoreScale = scale
        let threads = ThreadPool(threadCount: 2)
        let inputs = try [
            given[0].reshaped(to: Shape([1, 40, 8])), given[1], given[2].reshaped(to: Shape([1, 300, 8])),
        ].map { Value.tensor($0) }
        let output = try MutableTensor(dtype: .float32, shape: Shape([1, 40, 8]))
        var context = RunContext(inputs: inputs, outputs: [output], threads: threads)
        try fused.run(&context)
        // What is rounded of a score is relative to it.
        try expectClose(output.tensor, expected, Float(2e-6 * max(abs(scale), 1)))
    }

    @Test func doublePrecision() throws {
        let extents = Self.extents(1, 2, 2, 9, 11, 5, 3)
        let given = try operands(extents)
        let values = try given.map { try $0.array(of: Float.self) }
        let expected = Self.attend(values[0], values[1], values[2], extents, scale: 1 / 5.0.squareRoot())
        let doubles = try zip(given, values).map { try Tensor($1.map { Double($0) }, shape: $0.shape) }
        let found = try run("Attention", version: 23, inputs: doubles)[0].array(of: Double.self)
        TestSupport.expectClose(found, expected, within: Tolerance(absolute: 1e-14))
    }

    @Test func refusals() throws {
        let q = try pseudoRandom([1, 2, 3, 4])
        let other = try pseudoRandom([1, 3, 3, 4])
        let flat = try pseudoRandom([1, 3, 8])
        expectError("don't fit together") { try run("Attention", version: 23, inputs: [q, other, other]) }
        expectError("Q of shape [1, 3, 8] doesn't divide into an unstated number of heads") {
            try run("Attention", version: 23, inputs: [flat, flat, flat])
        }
        expectError("Q [1, 2, 3, 4], K [1, 2, 3, 4] and V [1, 3, 8] should all have 3 or all have 4 axes") {
            try run("Attention", version: 23, inputs: [q, q, flat])
        }
        expectError("shapes [5, 3] and [1, 2, 3, 3] don't broadcast") {
            try run("Attention", version: 23, inputs: [q, q, q, pseudoRandom([5, 3])])
        }
        expectError("a mask of shape [3, 9] doesn't broadcast to [1, 2, 3, 3]") {
            try run("Attention", version: 23, inputs: [q, q, q, pseudoRandom([3, 9])])
        }
        expectError("past_key and past_value are only given together") {
            try run("Attention", version: 23, inputs: [q, q, q, nil, q])
        }
        expectError("nonpad_kv_seqlen should be 1 numbers of 0 to 3, found [7]") {
            try run("Attention", version: 24, inputs: [q, q, q, nil, nil, nil, int64s([7])])
        }
        for heads: Int64 in [0, -2, 3] {
            expectError("\(heads < 1 ? "q_num_heads should be 1 or more, found \(heads)" : "doesn't divide into 3 heads")") {
                try run(
                    "Attention", version: 23,
                    attributes: NodeAttributes(["q_num_heads": .int(heads), "kv_num_heads": .int(heads)]),
                    inputs: [flat, flat, flat])
            }
        }
        let cache = try pseudoRandom([5, 2])
        let ids = try Tensor([Int64(0), 5, 1], shape: Shape([1, 3]))
        expectError("position_ids should be in 0..<5, found 0 to 5") {
            try run("RotaryEmbedding", version: 23, inputs: [q, cache, cache, ids])
        }
        expectError("cos_cache of shape [5, 2] doesn't fit X [1, 2, 3, 4] and 2 pairs") {
            try run("RotaryEmbedding", version: 23, inputs: [q, cache, cache])
        }
    }
}
