import GraphRuntime
import Ops
import TestSupport
import Testing

struct QuantizationTests {
    @Test func oneScalePerTensorAxisOrBlock() throws {
        let x = try floats([-3, -1.25, 0, 1.25, 300, 2], [2, 3])
        let one = try run("QuantizeLinear", version: 13, inputs: [x, floats([0.5], []), Tensor(scalar: UInt8(10))])[0]
        try expectEqual(one, [4, 8, 10, 12, 255, 14] as [UInt8])
        let axis = NodeAttributes(["axis": .int(0)])
        let rows = try run(
            "QuantizeLinear", version: 13, attributes: axis, inputs: [x, floats([1, 100], [2]), Tensor([Int8(0), 1])])[0]
        try expectEqual(rows, [-3, -1, 0, 1, 4, 1] as [Int8])
        let back = try run(
            "DequantizeLinear", version: 13, attributes: axis, inputs: [rows, floats([1, 100], [2]), Tensor([Int8(0), 1])])[0]
        try expectEqual(back, [-3, -1, 0, 0, 300, 0] as [Float])
        let blocks = NodeAttributes(["axis": .int(1), "block_size": .int(2)])
        let blocked = try run(
            "QuantizeLinear", version: 21, attributes: blocks, inputs: [x, floats([1, 2, 3, 4], [2, 2]), nil])[0]
        try expectEqual(blocked, [0, 0, 0, 0, 100, 0] as [UInt8])
        expectError("the scale along axis 1 of [2, 3] has shape [2]") {
            try run("QuantizeLinear", version: 13, inputs: [x, floats([1, 2], [2])])
        }
    }

    /// The products against a plain loop over the centred numbers.
    @Test func integerProducts() throws {
        let (m, k, n) = (5, 7, 9)
        let a = (0..<m * k).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let b = (0..<k * n).map { Int8(truncatingIfNeeded: $0 * 53) }
        let found = try run(
            "MatMulInteger", version: 10,
            inputs: [
                Tensor(a, shape: Shape([m, k])), Tensor(b, shape: Shape([k, n])), Tensor(scalar: UInt8(12)),
                Tensor(scalar: Int8(-3)),
            ])[0]
        var expected: [Int32] = []
        for row in 0..<m {
            for column in 0..<n {
                expected.append((0..<k).reduce(0) { $0 + (Int32(a[row * k + $1]) - 12) * (Int32(b[$1 * n + column]) + 3) })
            }
        }
        try expectEqual(found, expected)
    }

    /// Groups, strides, pads and dilations against a plain loop.
    @Test func integerConvolutions() throws {
        let x = (0..<2 * 4 * 6 * 5).map { UInt8(truncatingIfNeeded: $0 * 29) }
        let w = (0..<4 * 2 * 3 * 2).map { UInt8(truncatingIfNeeded: $0 * 91) }
        let attributes = NodeAttributes([
            "group": .int(2), "strides": .ints([2, 1]), "pads": .ints([1, 0, 2, 1]), "dilations": .ints([1, 2]),
        ])
        let found = try run(
            "ConvInteger", version: 10, attributes: attributes,
            inputs: [
                Tensor(x, shape: Shape([2, 4, 6, 5])), Tensor(w, shape: Shape([4, 2, 3, 2])), Tensor(scalar: UInt8(7)),
                Tensor(scalar: UInt8(100)),
            ])[0]
        #expect(found.shape.dimensions == [2, 4, 4, 4])
        var expected: [Int32] = []
        for batch in 0..<2 {
            for channel in 0..<4 {
                for row in 0..<4 {
                    for column in 0..<4 {
                        var sum: Int32 = 0
                        for part in 0..<2 {
                            for i in 0..<3 {
                                for j in 0..<2 {
                                    let (y, z) = (row * 2 - 1 + i, column + 2 * j)
                                    guard (0..<6).contains(y), (0..<5).contains(z) else { continue }
                                    let source = ((batch * 4 + channel / 2 * 2 + part) * 6 + y) * 5 + z
                                    let weight = ((channel * 2 + part) * 3 + i) * 2 + j
                                    sum += (Int32(x[source]) - 7) * (Int32(w[weight]) - 100)
                                }
                            }
                        }
                        expected.append(sum)
                    }
                }
            }
        }
        try expectEqual(found, expected)
    }

    @Test func dynamicRange() throws {
        let found = try run(
            "DynamicQuantizeLinear", version: 11, inputs: [floats([0, 2, -3, -2.5, 1.34, 0.5], [6])], outputCount: 3)
        try expectEqual(found[0], [153, 255, 0, 26, 221, 179] as [UInt8])
        try expectEqual(found[2], [153] as [UInt8])
        let zero = try run("DynamicQuantizeLinear", version: 11, inputs: [floats([0, 0], [2])], outputCount: 3)
        try expectEqual(zero[0], [0, 0] as [UInt8])
    }
}
