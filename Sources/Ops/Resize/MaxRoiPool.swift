import GraphRuntime

/// ONNX MaxRoiPool (1 to 22): the largest elements in the bins of regions (Girshick, "Fast R-CNN", 2015, section 2.1).
struct MaxRoiPool: Operator {
    var height: Int
    var width: Int
    var scale: Float

    var floatingPointTypes: Set<DType>? { [.float32] }

    private func output(_ shape: Shape, _ rois: Shape) throws -> Shape {
        guard shape.rank == 4, rois.rank == 2, rois[1] == 5 else {
            throw TensorError("regions of shape \(rois) don't fit \(shape)")
        }
        return try Shape([rois[0], shape[1], height, width])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let rois = try inputs[1].shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try output(shape, rois))]
    }

    func run(_ context: inout RunContext) throws {
        let (data, rois) = (try context.input(0), try context.input(1))
        let shape = try output(data.shape, rois.shape)
        let source = try data.view(of: Float.self)
        let output = try context.output(0)
        let regions = try rois.array(of: Float.self)
        let (channels, rows, columns) = (data.shape[1], data.shape[2], data.shape[3])
        for index in 0..<shape[0] {
            let values = try (0..<5).map { position -> Int in
                let value = (regions[index * 5 + position] * (position == 0 ? 1 : scale)).rounded()
                guard abs(value) < 0x1p30 else { throw TensorError("a region has the coordinate \(value)") }
                return Int(value)
            }
            let item = try checkedIndex(values[0], extent: data.shape[0])
            let vertical = (0..<height).map { Self.bin($0, of: height, from: values[2], to: values[4], extent: rows) }
            let horizontal = (0..<width).map { Self.bin($0, of: width, from: values[1], to: values[3], extent: columns) }
            try output.withMutableSpan(of: Float.self) { target in
                for channel in 0..<channels {
                    let plane = (item * channels + channel) * rows * columns
                    for (binRow, ys) in vertical.enumerated() {
                        for (binColumn, xs) in horizontal.enumerated() {
                            var best = ys.isEmpty || xs.isEmpty ? 0 : -Float.infinity
                            for y in ys { for x in xs { best = max(best, source[plane + y * columns + x]) } }
                            target[((index * channels + channel) * height + binRow) * width + binColumn] = best
                        }
                    }
                }
            }
        }
    }

    /// The elements of a bin, those within the picture.
    private static func bin(_ index: Int, of count: Int, from start: Int, to end: Int, extent: Int) -> Range<Int> {
        let size = Float(max(end - start + 1, 1)) / Float(count)
        let low = Int((Float(index) * size).rounded(.down)) + start
        let high = Int((Float(index + 1) * size).rounded(.up)) + start
        let first = min(max(low, 0), extent)
        return first..<max(min(max(high, 0), extent), first)
    }
}

extension MaxRoiPool {
    static let definitions = OperatorDefinition.all("MaxRoiPool", since: [1, 22]) { decoder in
        try decoder.requireInputs(2...2)
        guard let size = try decoder.optionalInts("pooled_shape"), size.count == 2,
            size.allSatisfy({ $0 > 0 && $0 < 1 << 24 })
        else { throw TensorError("attribute pooled_shape should be two positive integers") }
        return MaxRoiPool(height: size[0], width: size[1], scale: try decoder.float("spatial_scale", default: 1))
    }
}
