import GraphRuntime

/// Masks in the forms that the kernel reads.
enum AttentionMasks {
    /// The mask with its last axis, of extent 1, repeated.
    static func expandLastAxis(_ mask: Tensor, to count: Int) throws -> Tensor {
        let target = try MutableTensor(dtype: mask.dtype, shape: Shape(Array(mask.shape.dimensions.dropLast()) + [count]))
        switch mask.dtype {
        case .bool: try repeatElements(mask, target, count, Bool.self)
        case .float64: try repeatElements(mask, target, count, Double.self)
        default: try repeatElements(mask, target, count, Float.self)
        }
        return try target.finish()
    }

    private static func repeatElements<Element: TensorElement>(
        _ source: Tensor, _ target: MutableTensor, _ count: Int, _ type: Element.Type
    ) throws {
        let elements = try source.view(of: type)
        try target.withMutableSpan(of: type) { repeated in
            for index in 0..<repeated.count { repeated[index] = elements[index / count] }
        }
    }

    /// The mask as bool, or as `dtype` (float32 or float64).
    ///
    /// - Throws: ``TensorError`` where it holds no real numbers.
    static func converted(_ mask: Tensor, to dtype: DType) throws -> Tensor {
        if mask.dtype == .bool || mask.dtype == dtype { return mask }
        let values: [Double] =
            switch mask.dtype {
            case .float32: try mask.array(of: Float.self).map { Double($0) }
            case .float64: try mask.array(of: Double.self)
            case .int64: try mask.array(of: Int64.self).map { Double($0) }
            case .int32: try mask.array(of: Int32.self).map { Double($0) }
            case .int16: try mask.array(of: Int16.self).map { Double($0) }
            case .int8: try mask.array(of: Int8.self).map { Double($0) }
            case .uint8: try mask.array(of: UInt8.self).map { Double($0) }
            default: throw TensorError("a mask of \(mask.dtype) isn't supported")
            }
        return dtype == .float64
            ? try Tensor(values, shape: mask.shape) : try Tensor(values.map { Float($0) }, shape: mask.shape)
    }
}
