import GraphRuntime
import Ops
import TestSupport
import Testing

struct QuantizationTests {
    /// Scales along each axis and in blocks along each, of every type of integers, by the standard's formula.
    @Test(arguments: [DType.int8, .uint8, .int16, .uint16], [[3, 70, 5], [2, 5, 33], [40, 3, 1]])
    func quantizesByEveryLayout(dtype: DType, shape: [Int]) throws {
        let count = shape.reduce(1, *)
        let isWide = dtype == .int16 || dtype == .uint16
        let values = (0..<count).map { Float(($0 * 7919) % 2003 - 1001) * (isWide ? 3.7 : 0.031) }
        let x = try floats(values, shape)
        let range = try #require(
            ["int8": -128...127, "uint8": 0...255, "int16": -32768...32767, "uint16": 0...65535]["\(dtype)"])
        func integers(_ numbers: [Int], _ shape: [Int]) throws -> Tensor {
            switch dtype {
            case .int8: try Tensor(numbers.map { Int8($0) }, shape: Shape(shape))
            case .uint8: try Tensor(numbers.map { UInt8($0) }, shape: Shape(shape))
            case .int16: try Tensor(numbers.map { Int16($0) }, shape: Shape(shape))
            default: try Tensor(numbers.map { UInt16($0) }, shape: Shape(shape))
            }
        }
        func bits(_ tensor: Tensor) -> [UInt8] { tensor.bytes.indices.map { tensor.bytes[$0] } }
        for axis in 0..<3 {
            for block in [0, 1, 2, 16, 33] {
                var extents = shape
                extents[axis] = block == 0 ? shape[axis] : (shape[axis] + block - 1) / block
                let scaleShape = block == 0 ? [shape[axis]] : extents
                let scaleCount = scaleShape.reduce(1, *)
                let scales = (0..<scaleCount).map { 0.05 + 0.01 * Float($0 % 13) }
                let zeros = (0..<scaleCount).map { range.lowerBound + ($0 * 37) % 200 }
                let attributes = NodeAttributes(["axis": .int(Int64(axis)), "block_size": .int(Int64(block))])
                let parameters = [try floats(scales, scaleShape), try integers(zeros, scaleShape)]
                let y = try run("QuantizeLinear", version: 21, attributes: attributes, inputs: [x] + parameters)[0]
                // A scale along an axis of one index is one for all.
                func scale(of element: Int) -> Int {
                    let inner = shape[(axis + 1)...].reduce(1, *)
                    let (outer, index, rest) = (element / (inner * shape[axis]), element / inner % shape[axis], element % inner)
                    return block == 0 ? index : (outer * extents[axis] + index / block) * inner + rest
                }
                let expected = values.indices.map { element in
                    let level = (values[element] / scales[scale(of: element)]).rounded(.toNearestOrEven)
                    return min(max(Int(level) + zeros[scale(of: element)], range.lowerBound), range.upperBound)
                }
                #expect(try bits(y) == bits(integers(expected, shape)), "axis \(axis), blocks of \(block)")
                let back = try run("DequantizeLinear", version: 21, attributes: attributes, inputs: [y] + parameters)[0]
                let numbers = expected.indices.map { Float(expected[$0] - zeros[scale(of: $0)]) * scales[scale(of: $0)] }
                #expect(try back.array(of: Float.self) == numbers, "axis \(axis), blocks of \(block)")
            }
        }
    }

    /// 32 bits, whose differences single precision doesn't hold.
    @Test func dequantizesIntegers() throws {
        let numbers = (0..<200).map { Int32(truncatingIfNeeded: $0 * 0x1357_9BDF) }
        let x = try Tensor(numbers, shape: Shape([4, 50]))
        for axis in 0..<2 {
            let count = axis == 0 ? 4 : 50
            let scales = (0..<count).map { 0.25 + Float($0) }
            let found = try run(
                "DequantizeLinear", version: 21, attributes: NodeAttributes(["axis": .int(Int64(axis))]),
                inputs: [x, floats(scales, [count])])[0]
            let expected = numbers.indices.map { Float(numbers[$0]) * scales[axis == 0 ? $0 / 50 : $0 % 50] }
            #expect(try found.array(of: Float.self) == expected)
        }
    }

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
