import GraphRuntime
import Ops
import TestSupport
import Testing

@Suite struct ResizeTests {
    @Test(arguments: [(2, 1, 1), (2, 3, 5), (3, 4, 7), (2, 17, 33)], [DType.float32, .float16, .uint8])
    func nearestUpscale(_ extents: (factor: Int, rows: Int, columns: Int), dtype: DType) throws {
        let (factor, rows, columns) = extents
        let numbers = (0..<2 * rows * columns).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let shape = try Shape([1, 2, rows, columns])
        let data: Tensor =
            switch dtype {
            case .float32: try Tensor(numbers.map { Float($0) }, shape: shape)
            case .float16: try Tensor(numbers.map { Float16($0) }, shape: shape)
            default: try Tensor(numbers, shape: shape)
            }
        let attributes = NodeAttributes([
            "mode": .string("nearest"), "coordinate_transformation_mode": .string("asymmetric"),
            "nearest_mode": .string("floor"),
        ])
        let scales = try floats([1, 1, Float(factor), Float(factor)], [4])
        let sizes = try int64s([1, 2, Int64(rows * factor), Int64(columns * factor)])
        let width = dtype.bitWidth / 8
        for output in [
            try run("Resize", version: 13, attributes: attributes, inputs: [data, nil, scales])[0],
            try run("Resize", version: 19, attributes: attributes, inputs: [data, nil, nil, sizes])[0],
        ] {
            #expect(output.shape.dimensions == [1, 2, rows * factor, columns * factor])
            var isSame = output.dtype == dtype
            for place in 0..<output.count {
                let (row, column) = (place / (columns * factor), place % (columns * factor))
                let (plane, y) = (row / (rows * factor), row % (rows * factor))
                let source = (plane * rows + y / factor) * columns + column / factor
                isSame =
                    isSame
                    && output.bytes[place * width..<(place + 1) * width].elementsEqual(
                        data.bytes[source * width..<(source + 1) * width])
            }
            #expect(isSame)
        }
    }

    @Test(arguments: [Float.nan, .infinity, 0, -1, 1e30])
    func refusesScalesThatAreNone(scale: Float) throws {
        let data = try pseudoRandom([1, 1, 2, 2])
        expectError("scales [1.0, 1.0, \(scale), 1.0] don't fit 4 axes") {
            try run("Resize", version: 13, inputs: [data, nil, floats([1, 1, scale, 1], [4])])
        }
    }

    @Test func refusesSizesThatAreNone() throws {
        let data = try pseudoRandom([1, 1, 2, 2])
        for sizes in [[1, 1, -1, 2], [1, 1, Int64.max, 2], [1, 1, 2]] as [[Int64]] {
            expectError("sizes \(sizes) don't fit 4 axes") {
                try run("Resize", version: 19, inputs: [data, nil, nil, int64s(sizes)])
            }
        }
        expectError("an axis without elements can't become one of extent 2") {
            try run("Resize", version: 19, inputs: [floats([], [1, 1, 0, 2]), nil, nil, int64s([1, 1, 2, 2])])
        }
    }

    /// A cubic kernel weighs what is around a place beside the border, as torch.nn.functional.grid_sample does; its results.
    @Test func weighsAroundPlacesOutside() throws {
        let data = try floats([1, 2, 3, 4, 5, 6, 7, 8, 10], [1, 1, 3, 3])
        let grid = try floats([-1.25, 0.1, 1.4, -1.2, 0.3, 1.1], [1, 1, 3, 2])
        for version in [16, 20, 22] {
            let output = try run(
                "GridSample", version: version,
                attributes: NodeAttributes([
                    "mode": .string(version == 16 ? "bicubic" : "cubic"), "padding_mode": .string("border"),
                ]), inputs: [data, grid])[0]
            try expectClose(output, [4.616654, 2.927998, 9.19538] as [Double], within: Tolerance(absolute: 1e-5))
        }
    }

    /// More points than a block, in each of several pictures and channels, against the formula of ONNX GridSample-16.
    @Test(arguments: [1, 3]) func samplesBlocksOfPoints(threads: Int) throws {
        let (count, channels, height, width, points) = (2, 3, 7, 5, 301)
        let data = try pseudoRandom([count, channels, height, width], seed: 1)
        let grid = try pseudoRandom([count, 1, points, 2], seed: 2)
        let found = try run("GridSample", version: 20, inputs: [data, grid], threads: threads)[0]
        let (x, places) = (try doubles(data), try doubles(grid))
        var expected: [Double] = []
        for plane in 0..<count * channels {
            for point in 0..<points {
                let place = 2 * (plane / channels * points + point)
                let column = ((places[place] + 1) * Double(width) - 1) / 2
                let row = ((places[place + 1] + 1) * Double(height) - 1) / 2
                var sum = 0.0
                for (down, right) in [(0.0, 0.0), (0, 1), (1, 0), (1, 1)] {
                    let (y, x0) = (row.rounded(.down) + down, column.rounded(.down) + right)
                    guard y >= 0, x0 >= 0, y < Double(height), x0 < Double(width) else { continue }
                    sum += (1 - abs(row - y)) * (1 - abs(column - x0)) * x[(plane * height + Int(y)) * width + Int(x0)]
                }
                expected.append(sum)
            }
        }
        try expectClose(found, expected, within: Tolerance(absolute: 1e-6))
    }

    @Test func samplesFarAwayPlaces() throws {
        let data = try floats([1, 2, 3, 4], [1, 1, 2, 2])
        let grid = try floats([.nan, 0, .infinity, 0, 1e30, -1e30, 0, 0], [1, 1, 4, 2])
        for padding in ["zeros", "border", "reflection"] {
            for mode in ["linear", "nearest", "cubic"] {
                let output = try run(
                    "GridSample", version: 20,
                    attributes: NodeAttributes(["mode": .string(mode), "padding_mode": .string(padding)]), inputs: [data, grid])[
                        0]
                #expect(output.shape.dimensions == [1, 1, 1, 4])
                #expect(try output.array(of: Float.self).allSatisfy { $0.isFinite })
            }
        }
    }
}
