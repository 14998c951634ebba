import GraphRuntime
import Ops
import TestSupport
import Testing

/// MatMulNBits of 4 bits with constants in a file, which are packed in the panels of other weights of 4 bits where their blocks and zero
/// points allow for it, against sums in double precision.
@Suite struct BlockPanelTests {
    private struct Weights {
        let numbers: [UInt8]
        let scales: [Float]
        /// [rows, depth]
        let values: [Double]

        /// - Parameter zero: the zero point of all blocks.
        init(rows: Int, depth: Int, block: Int, zero: Int) throws {
            let blocks = (depth + block - 1) / block
            var dice = Dice(UInt64(rows * depth + block))
            // What is behind the last number of a row counts for nothing.
            let numbers = (0..<rows * blocks * block / 2).map { _ in UInt8(dice.roll(256)) }
            let scales = try pseudoRandom([rows, blocks], seed: 3).array(of: Float.self).map { Float(Float16($0)) }
            (self.numbers, self.scales) = (numbers, scales)
            values = (0..<rows * depth).map { index in
                let (row, place) = (index / depth, index % depth)
                let byte = Int(numbers[row * blocks * block / 2 + place / 2])
                return Double((byte >> (4 * (place % 2)) & 15) - zero) * Double(scales[row * blocks + place / block])
            }
        }
    }

    /// Rows, depth, size of a block, rows of the left factor: parts of blocks, of panels and of tiles.
    @Test(arguments: [
        (8, 4, 32, 4), (33, 36, 32, 5), (70, 130, 64, 15), (40, 96, 128, 29), (100, 1000, 32, 77), (31, 64, 16, 9),
        (600, 700, 256, 40), (64, 64, 32, 1),
    ]) func products(rows: Int, depth: Int, block: Int, count: Int) throws {
        let x = try pseudoRandom([count, depth], seed: 1)
        let bias = try pseudoRandom([rows], seed: 2)
        let left = try x.array(of: Float.self)
        for zero in [8, 5] {
            let weights = try Weights(rows: rows, depth: depth, block: block, zero: zero)
            let blocks = (depth + block - 1) / block
            let offsets = try bias.array(of: Float.self)
            let expected = (0..<count * rows).map { index in
                (0..<depth).reduce(Double(offsets[index % rows])) {
                    $0 + Double(left[index / rows * depth + $1]) * weights.values[index % rows * depth + $1]
                }
            }
            let zeros = try Tensor(
                [UInt8](repeating: UInt8(zero * 17), count: rows * ((blocks + 1) / 2)), shape: Shape([rows, (blocks + 1) / 2]))
            let scales = try Tensor(weights.scales, shape: Shape([rows, blocks]))
            let halves = try Tensor(weights.scales.map { Float16($0) }, shape: Shape([rows, blocks]))
            let numbers = try Tensor(weights.numbers, shape: Shape([rows, blocks, block / 2]))
            for (scales, threads) in [(scales, 1), (scales, 3), (halves, 2)] {
                let found = try result(
                    x, numbers, scales, zero == 8 && threads != 3 ? nil : zeros, bias, block: block, threads: threads)
                try expectClose(
                    found, expected.map { Float($0) }, within: Tolerance(ofLargest: 3e-6),
                    "zero point \(zero), \(threads) threads")
            }
        }
    }

    /// Rows that an `accuracy_level` of 4 allows to round: each block of a row in bytes by its largest magnitude over 127.
    @Test(arguments: [(33, 64, 32, 1), (70, 160, 64, 7), (40, 96, 16, 30), (130, 1000, 32, 77)])
    func roundsRowsToBytes(rows: Int, depth: Int, block: Int, count: Int) throws {
        let x = try pseudoRandom([count, depth], seed: 1)
        let left = try x.array(of: Float.self)
        var rounded = left.map { Double($0) }
        for row in 0..<count {
            for first in stride(from: row * depth, to: (row + 1) * depth, by: block) {
                let places = first..<min(first + block, (row + 1) * depth)
                let largest = left[places].reduce(0) { max($0, abs($1)) }
                for place in places {
                    rounded[place] = Double((left[place] * (127 / largest)).rounded(.toNearestOrEven)) * Double(largest / 127)
                }
            }
        }
        let (bias, blocks) = (try Tensor([Float](repeating: 0, count: rows)), (depth + block - 1) / block)
        for zero in [8, 5] {
            let weights = try Weights(rows: rows, depth: depth, block: block, zero: zero)
            let zeros = try Tensor(
                [UInt8](repeating: UInt8(zero * 17), count: rows * ((blocks + 1) / 2)), shape: Shape([rows, (blocks + 1) / 2]))
            let profile = Profile()
            let found = try result(
                x, Tensor(weights.numbers, shape: Shape([rows, blocks, block / 2])),
                Tensor(weights.scales, shape: Shape([rows, blocks])), zeros, bias, block: block, threads: 2, accuracyLevel: 4,
                profile)
            // Of processors that don't multiply bytes, what is rounded otherwise.
            guard profile.nodes.contains(where: { $0.kernel?.contains("int8") == true }) else { continue }
            let expected = (0..<count * rows).map { index in
                (0..<depth).reduce(0.0) {
                    $0 + rounded[index / rows * depth + $1] * weights.values[index % rows * depth + $1]
                }
            }
            try expectClose(found, expected.map { Float($0) }, within: Tolerance(ofLargest: 3e-6), "zero point \(zero)")
        }
    }

    private func result(
        _ x: Tensor, _ numbers: Tensor, _ scales: Tensor, _ zeros: Tensor?, _ bias: Tensor, block: Int, threads: Int,
        accuracyLevel: Int64 = 0, _ profile: Profile? = nil
    ) throws -> Tensor {
        let file = try MappedTensors([numbers, scales, bias] + (zeros.map { [$0] } ?? []))
        var graph = Graph()
        let ids = ["x", "b", "scales", "bias", "zeros", "y"].map { graph.addValue(ValueDeclaration(name: $0)) }
        (graph.inputs, graph.outputs) = ([ids[0]], [ids[5]])
        for (id, tensor) in zip(ids.dropFirst(), file.tensors) { graph.initializers[id] = tensor }
        graph.nodes = [
            Node(
                name: "node", identity: OperatorIdentity(domain: "com.microsoft", type: "MatMulNBits", version: 1),
                inputs: [ids[0], ids[1], ids[2], zeros == nil ? nil : ids[4], nil, ids[3]], outputs: [ids[5]],
                attributes: NodeAttributes([
                    "N": .int(Int64(numbers.shape[0])), "K": .int(Int64(x.shape[1])), "bits": .int(4),
                    "block_size": .int(Int64(block)), "accuracy_level": .int(accuracyLevel),
                ]))
        ]
        let options = SessionOptions(threads: ThreadPool(threadCount: threads))
        let session = try Session(graph: graph, library: StandardOperators.library, options: options)
        let results = try (0..<2).map { _ in try #require(try session.run(["x": x], observer: profile)["y"]) }
        try expectSame(results[1], results[0])
        return results[1]
    }
}
