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

    @Test(arguments: [(1, 1, 1, 0), (3, 1, 1, 1), (3, 2, 1, 0), (2, 2, 2, 1), (3, 1, 2, 2)])
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
