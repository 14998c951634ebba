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

    /// Elements that follow one another, which share a scale, or whose scales follow one another.
    struct Run {
        /// Of the first element.
        let start: Int
        let count: Int
        /// The first element's scale.
        let scale: Int
        /// Whether each element has the next scale.
        let hasScaleEach: Bool
    }

    private var blocks: Int { split.count / blockSize + (split.count % blockSize == 0 ? 0 : 1) }

    /// Runs that the tensor consists of.
    var runCount: Int {
        switch kind {
        case .tensor: 1
        case .axis: split.inner == 1 ? split.outer : split.outer * split.count
        case .blocks: split.inner == 1 ? split.outer * blocks : split.outer * split.count
        }
    }

    /// A run by its number.
    func run(_ number: Int) -> Run {
        let inner = split.inner
        switch kind {
        case .tensor: return Run(start: 0, count: inner, scale: 0, hasScaleEach: false)
        case .axis where inner == 1: return Run(start: number * split.count, count: split.count, scale: 0, hasScaleEach: true)
        case .axis: return Run(start: number * inner, count: inner, scale: number % split.count, hasScaleEach: false)
        case .blocks where inner == 1:
            let (outer, place) = (number / blocks, number % blocks * blockSize)
            return Run(
                start: outer * split.count + place, count: min(blockSize, split.count - place), scale: number,
                hasScaleEach: false)
        case .blocks:
            let (outer, index) = (number / split.count, number % split.count)
            return Run(
                start: number * inner, count: inner, scale: (outer * blocks + index / blockSize) * inner, hasScaleEach: true)
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
