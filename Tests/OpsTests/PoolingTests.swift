import GraphRuntime
import Ops
import TestSupport
import Testing

@Suite struct PoolingTests {
    /// A window at a time, as the definition says.
    private func averages(_ data: [Float], _ extents: (Int, Int, Int), kernel: Int, stride: Int, dilation: Int, pad: Int)
        -> [Float]
    {
        let (planes, rows, columns) = extents
        func count(_ extent: Int) -> Int { (extent + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1 }
        var result: [Float] = []
        for plane in 0..<planes {
            for y in 0..<count(rows) {
                for x in 0..<count(columns) {
                    var window: [Float] = []
                    for i in 0..<kernel {
                        for j in 0..<kernel {
                            let (row, column) = (y * stride + i * dilation - pad, x * stride + j * dilation - pad)
                            guard (0..<rows).contains(row), (0..<columns).contains(column) else { continue }
                            window.append(data[(plane * rows + row) * columns + column])
                        }
                    }
                    result.append(window.reduce(0, +) / Float(window.count))
                }
            }
        }
        return result
    }

    @Test(arguments: [
        (1, 1, 1, 0), (3, 1, 1, 1), (3, 2, 1, 0), (2, 2, 2, 1), (3, 1, 2, 2), (5, 1, 1, 2), (7, 3, 1, 3), (4, 2, 2, 3),
        (9, 9, 1, 0), (9, 1, 1, 4),
    ])
    func averagesWindows(kernel: Int, stride: Int, dilation: Int, pad: Int) throws {
        let data = try pseudoRandom([2, 3, 9, 11])
        let sides: (Int) -> AttributeValue = { .ints([Int64($0), Int64($0)]) }
        let attributes = NodeAttributes([
            "kernel_shape": sides(kernel), "strides": sides(stride), "dilations": sides(dilation),
            "pads": .ints(Array(repeating: Int64(pad), count: 4)),
        ])
        let output = try run("AveragePool", version: 19, attributes: attributes, inputs: [data])[0]
        let expected = averages(
            try data.array(of: Float.self), (6, 9, 11), kernel: kernel, stride: stride, dilation: dilation, pad: pad)
        try expectClose(output, expected, within: Tolerance(ofLargest: 1e-6))
    }

    /// Three axes are averaged slice by slice; of doubles, a window at a time.
    @Test(
        arguments: [false, true],
        [([3, 2, 3], [2, 1, 2], [1, 1, 1]), ([2, 3, 1], [1, 2, 1], [1, 1, 0]), ([1, 2, 2], [1, 2, 2], [0, 1, 1])])
    func averagesVolumes(includesPadding: Bool, windows: ([Int64], [Int64], [Int64])) throws {
        let data = try pseudoRandom([2, 3, 7, 9, 11])
        let wide = try Tensor(data.array(of: Float.self).map { Double($0) }, shape: data.shape)
        let attributes = NodeAttributes([
            "kernel_shape": .ints(windows.0), "strides": .ints(windows.1), "pads": .ints(windows.2 + windows.2),
            "count_include_pad": .int(includesPadding ? 1 : 0),
        ])
        let found = try run("AveragePool", version: 19, attributes: attributes, inputs: [data])[0]
        let expected = try run("AveragePool", version: 19, attributes: attributes, inputs: [wide])[0]
        try expectClose(found, expected.array(of: Double.self), within: Tolerance(ofLargest: 1e-6))
    }

    /// Maxima with their indices are looked for one window at a time, those without in vectors.
    @Test(
        arguments: [
            ([2, 3, 9, 11], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], false),
            ([1, 70, 20, 20], [5, 5], [1, 1], [1, 1], [2, 2, 2, 2], false),
            ([1, 3, 112, 113], [3, 3], [2, 2], [1, 1], [1, 1, 1, 1], false),
            ([1, 2, 13, 15], [2, 3], [3, 2], [2, 1], [0, 1, 1, 0], true),
            ([3, 5, 40], [4], [3], [2], [1, 2], true), ([1, 3, 1, 30], [1, 2], [1, 2], [1, 1], [0, 0, 0, 0], false),
            ([2, 3, 7, 5], [1, 1], [1, 1], [1, 1], [0, 0, 0, 0], false),
            ([1, 2, 6, 6], [2, 2], [2, 2], [1, 1], [0, 0, 0, 0], true),
            ([1, 2, 4, 5, 6], [2, 2, 2], [1, 2, 1], [1, 1, 1], [0, 0, 0, 1, 0, 1], false),
            ([1, 5, 20, 21], [13, 13], [1, 1], [1, 1], [6, 6, 6, 6], false),
            ([2, 3, 32, 50], [16, 16], [16, 16], [1, 1], [0, 0, 0, 0], true),
            ([2, 3, 90], [40], [3], [2], [7, 11], true), ([2, 3, 9, 11], [9, 11], [1, 1], [1, 1], [0, 0, 0, 0], false),
            ([2, 3, 9, 11], [4, 6], [5, 2], [3, 1], [2, 5, 3, 1], false),
            ([2, 3, 9, 20, 17], [3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 1, 1, 1, 1, 1], false),
            ([1, 70, 5, 6, 7], [2, 1, 3], [2, 1, 2], [2, 1, 1], [1, 0, 0, 0, 0, 1], true),
            ([1, 2, 3, 4, 4], [1, 2, 2], [1, 2, 2], [1, 1, 1], [0, 0, 0, 0, 0, 0], false),
        ] as [([Int], [Int64], [Int64], [Int64], [Int64], Bool)])
    func findsTheLargest(
        shape: [Int], kernel: [Int64], strides: [Int64], dilations: [Int64], pads: [Int64], roundsUp: Bool
    ) throws {
        let attributes = NodeAttributes([
            "kernel_shape": .ints(kernel), "strides": .ints(strides), "dilations": .ints(dilations), "pads": .ints(pads),
            "ceil_mode": .int(roundsUp ? 1 : 0),
        ])
        for spoiled in [false, true] {
            var values = try pseudoRandom(shape).array(of: Float.self)
            if spoiled {
                for index in stride(from: 0, to: values.count, by: 23) { values[index] = index % 2 == 0 ? .nan : -.infinity }
            }
            let data = try floats(values, shape)
            let alone = try run("MaxPool", version: 12, attributes: attributes, inputs: [data])[0]
            let both = try run("MaxPool", version: 12, attributes: attributes, inputs: [data], outputCount: 2)
            let (found, expected) = (try alone.array(of: Float.self), try both[0].array(of: Float.self))
            #expect(alone.shape == both[0].shape)
            #expect(zip(found, expected).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
            // NaN is larger than all numbers.
            let largest = try both[1].array(of: Int64.self).map { values[Int($0)] }
            #expect(zip(found, largest).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
        }
    }

    @Test(arguments: [1, 15, 16, 31, 33, 100, 508]) func globalPools(size: Int) throws {
        let data = try pseudoRandom([3, 5, size])
        let rows = try data.array(of: Float.self)
        let planes = (0..<15).map { rows[$0 * size..<($0 + 1) * size] }
        let means = planes.map { $0.reduce(0.0) { $0 + Double($1) } / Double(size) }
        try expectClose(run("GlobalAveragePool", version: 1, inputs: [data])[0], means, within: Tolerance(ofLargest: 1e-7))
        let maxima = planes.map { $0.reduce(-Float.infinity) { max($0, $1) } }
        #expect(try run("GlobalMaxPool", version: 1, inputs: [data])[0].array(of: Float.self) == maxima)
    }

    @Test func refusesWindowsThatDoNotFit() throws {
        let data = try pseudoRandom([1, 1, 4, 4])
        for kernel in [[0, 1], [-1, 1], [1], [Int64.max, 1]] as [[Int64]] {
            expectError("a window of \(kernel), strides [1, 1] and dilations [1, 1] doesn't fit [1, 1, 4, 4]") {
                try run("MaxPool", version: 12, attributes: NodeAttributes(["kernel_shape": .ints(kernel)]), inputs: [data])
            }
        }
        expectError("a window of [2, 2], strides [0, 1] and dilations [1, 1] doesn't fit [1, 1, 4, 4]") {
            try run(
                "MaxPool", version: 12,
                attributes: NodeAttributes(["kernel_shape": .ints([2, 2]), "strides": .ints([0, 1])]),
                inputs: [data])
        }
        expectError("expected a batch and channels, found [1]") {
            try run("GlobalAveragePool", version: 1, inputs: [floats([1], [1])])
        }
    }

    /// Rounded up, as PyTorch and ONNX Runtime have it.
    @Test(arguments: [(10, 10, true, 1), (10, 4, true, 1), (10, 3, true, 0), (8, 1, true, 0), (10, 10, false, 0)])
    func windowsLargerThanTheInput(kernel: Int64, stride: Int64, roundsUp: Bool, count: Int) throws {
        let data = try floats((0..<7).map { Float($0) }, [1, 1, 7])
        let attributes = NodeAttributes([
            "kernel_shape": .ints([kernel]), "strides": .ints([stride]), "ceil_mode": .int(roundsUp ? 1 : 0),
        ])
        for (type, expected) in [("AveragePool", 3), ("MaxPool", 6)] as [(String, Float)] {
            let found = try run(type, version: 12, attributes: attributes, inputs: [data])[0]
            #expect(try found.array(of: Float.self) == Array(repeating: expected, count: count))
        }
    }

    @Test func largeWindowsAndPads() throws {
        let data = try pseudoRandom([1, 1, 4, 4])
        // Two windows of a billion places each, of which 16 hold elements.
        let attributes = NodeAttributes([
            "kernel_shape": .ints([1 << 30, 1 << 30]), "pads": .ints([1 << 30, 1 << 30, 1 << 30, 1 << 30]),
            "strides": .ints([1 << 30, 1 << 30]), "count_include_pad": .int(1),
        ])
        #expect(
            try run("AveragePool", version: 19, attributes: attributes, inputs: [data])[0].shape.dimensions == [1, 1, 2, 2])
    }
}
