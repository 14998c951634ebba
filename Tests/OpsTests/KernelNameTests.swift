import GraphRuntime
import Ops
import Testing

/// Profiles name the kernel that is chosen for a node's shapes and types, with the optimizer on and off.
@Suite struct KernelNameTests {
    private static let hasPanels = InstructionSet.current != .plain

    private func kernels(
        _ type: String, version: Int, _ inputs: [Tensor?], _ attributes: KeyValuePairs<String, AttributeValue> = [:],
        outputCount: Int = 1
    ) throws -> Set<String?> {
        let profile = Profile()
        _ = try run(
            type, version: version, attributes: NodeAttributes(attributes), inputs: inputs, outputCount: outputCount,
            observer: profile)
        return Set(profile.nodes.map(\.kernel))
    }

    @Test(arguments: [
        ([64, 32], [32, 48], "packed GEMM"), ([2, 64, 32], [32, 48], "packed GEMM"),
        ([2, 64, 32], [2, 32, 48], "batched packed GEMM"), ([1, 32], [32, 48], "weighted rows"),
        ([64, 32], [32, 3], "OpenBLAS"),
        ([5, 1, 32], [5, 32, 48], "batched weighted rows"),
    ]) func products(left: [Int], right: [Int], expected: String) throws {
        let name = Self.hasPanels ? expected : expected.replacing("packed GEMM", with: "OpenBLAS")
        let found = try kernels("MatMul", version: 13, [pseudoRandom(left, seed: 1), pseudoRandom(right, seed: 2)])
        #expect(found == [name])
    }

    @Test func productsOfOtherTypes() throws {
        let doubles = try kernels(
            "MatMul", version: 13, [pseudoRandomDoubles([64, 32], seed: 1), pseudoRandomDoubles([32, 48], seed: 2)])
        #expect(doubles == ["OpenBLAS"])
        let integers = try kernels(
            "MatMul", version: 13,
            [Tensor([Int32(1), 2], shape: Shape([1, 2])), Tensor([Int32(1), 2], shape: Shape([2, 1]))])
        #expect(integers == ["loops"])
        let few = try kernels(
            "Gemm", version: 13, [pseudoRandom([2, 320], seed: 1), pseudoRandom([128, 320], seed: 2)], ["transB": .int(1)])
        #expect(few == ["dot products"])
    }

    /// Weights in files are packed once.
    @Test func prePacked() throws {
        func kernels(_ type: String, _ inputs: [Tensor], _ attributes: NodeAttributes = NodeAttributes()) throws -> Set<String?>
        {
            let profile = Profile()
            _ = try runOnWeights(type, version: 13, attributes: attributes, inputs: inputs, observer: profile)
            return Set(profile.nodes.map(\.kernel))
        }
        func name(_ packed: String, _ plain: String) -> Set<String?> { [Self.hasPanels ? packed : plain] }
        let (x, w) = (try pseudoRandom([2, 6, 32], seed: 1), try pseudoRandom([32, 48], seed: 2))
        #expect(try kernels("MatMul", [x, w]) == name("pre-packed GEMM", "OpenBLAS"))
        #expect(try kernels("MatMul", [pseudoRandom([1, 32], seed: 1), w]) == name("pre-packed GEMM", "weighted rows"))
        #expect(try kernels("Gemm", [pseudoRandom([6, 32], seed: 1), w]) == name("pre-packed GEMM", "OpenBLAS"))
        let pixels = try pseudoRandom([1, 32, 4, 3], seed: 1)
        let kernel3 = try pseudoRandom([48, 32, 3, 3], seed: 2)
        let oracle = WindowOracle(input: [1, 32, 4, 3], weights: [48, 32, 3, 3], pads: [1, 1, 1, 1])
        let attributes = oracle.attributes(autoPad: nil, isTransposed: false)
        #expect(try kernels("Conv", [pixels, kernel3], attributes) == name("im2col + pre-packed GEMM", "im2col + GEMM"))
        let (signal, filters) = (try pseudoRandom([1, 1, 300], seed: 1), try pseudoRandom([9, 1, 64], seed: 2))
        #expect(try kernels("Conv", [signal, filters]) == name("frames", "im2col + GEMM"))
        let square = try pseudoRandom([1, 32, 4, 4], seed: 1)
        #expect(try kernels("Conv", [square, kernel3], attributes) == name("Winograd 4×4", "im2col + GEMM"))
        #expect(
            try kernels("Conv", [pixels, pseudoRandom([48, 32, 1, 1], seed: 2)]) == name("pre-packed GEMM 1×1", "GEMM 1×1"))
    }

    @Test func attention() throws {
        let operands = try (1...3).map { try pseudoRandom([2, 3, 20, 8], seed: UInt64($0)) }
        let panels = Self.hasPanels ? "panels" : "tiles"
        #expect(try kernels("Attention", version: 23, operands) == [panels])
        #expect(try kernels("Attention", version: 23, operands, ["is_causal": .int(1)]) == [panels])
        #expect(try kernels("Attention", version: 23, operands, ["softcap": .float(3)]) == ["tiles"])
        #expect(try kernels("Attention", version: 23, operands + [pseudoRandom([20, 20], seed: 4)]) == [panels])
        let query = try pseudoRandom([2, 3, 1, 8], seed: 5)
        let mask = try pseudoRandom([1, 20], seed: 4)
        #expect(try kernels("Attention", version: 23, [query] + operands.dropFirst() + [mask]) == ["tiles"])
        #expect(try kernels("Attention", version: 23, operands, outputCount: 4) == ["tiles"])
        let doubles = try (1...3).map { try pseudoRandomDoubles([2, 3, 20, 8], seed: UInt64($0)) }
        #expect(try kernels("Attention", version: 23, doubles) == ["tiles"])
    }
}
