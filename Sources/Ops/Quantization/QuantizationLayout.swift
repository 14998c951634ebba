import GraphRuntime

/// Which scale (and zero point) belongs to which element: one for the tensor, one for each index along an axis, or one for each
/// block along an axis (ONNX QuantizeLinear-21).
struct QuantizationLayout {
    private let split: AxisSplit
    private let blockSize: Int
    private let kind: Kind

    private enum Kind {
        case tensor, axis, blocks
    }

    /// - Parameters:
    ///   - axis: as the attribute states it; it may count from the end.
    ///   - blockSize: 0 for none.
    /// - Throws: ``TensorError`` where the scale's shape fits none of the three.
    init(_ shape: Shape, scale: Shape, axis: Int, blockSize: Int) throws(TensorError) {
        self.blockSize = max(blockSize, 1)
        if scale.count == 1 && blockSize == 0 {
            split = AxisSplit(shape, axes: 0..<0)
            kind = .tensor
            return
        }
        let axis = try shape.axis(axis)
        split = AxisSplit(shape, axis: axis)
        if blockSize > 0 {
            var expected = shape.dimensions
            expected[axis] = expected[axis] / blockSize + (expected[axis] % blockSize == 0 ? 0 : 1)
            guard scale.dimensions == expected else {
                throw TensorError("the scale of blocks of \(blockSize) along axis \(axis) of \(shape) has shape \(scale)")
            }
            kind = .blocks
        } else {
            guard scale.rank == 1, scale[0] == shape[axis] else {
                throw TensorError("the scale along axis \(axis) of \(shape) has shape \(scale)")
            }
            kind = .axis
        }
    }

    /// Calls `body` for runs of elements: where each starts, where its scales start, how far they move with each element (0 or 1),
    /// and its length.
    func forEachRun(_ body: (_ start: Int, _ scale: Int, _ step: Int, _ count: Int) -> Void) {
        let blocks = split.count / blockSize + (split.count % blockSize == 0 ? 0 : 1)
        for outer in 0..<split.outer {
            for index in 0..<split.count {
                let start = (outer * split.count + index) * split.inner
                switch kind {
                case .tensor: body(start, 0, 0, split.inner)
                case .axis: body(start, index, 0, split.inner)
                case .blocks: body(start, (outer * blocks + index / blockSize) * split.inner, 1, split.inner)
                }
            }
        }
    }
}

extension DType {
    /// The least and the largest number of a type that integers are quantized to, nil for other types.
    var quantizedRange: (least: Double, largest: Double)? {
        switch self {
        case .uint8: (0, 255)
        case .int8: (-128, 127)
        case .uint16: (0, 65535)
        case .int16: (-32768, 32767)
        case .uint4: (0, 15)
        case .int4: (-8, 7)
        case .uint2: (0, 3)
        case .int2: (-2, 1)
        default: nil
        }
    }
}
