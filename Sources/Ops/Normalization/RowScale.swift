import GraphRuntime

/// A scale or bias of rows (the axes from some axis on), broadcast towards the whole tensor.
struct RowScale {
    /// The elements of one row, or of all.
    let tensor: Tensor
    /// 0 where all rows share the elements, else the rows' length.
    let rowStride: Int

    /// - Parameters:
    ///   - parameter: broadcasts to `shape`.
    ///   - axis: the first of the axes that make up a row.
    /// - Throws: ``TensorError`` where it doesn't broadcast or its type isn't `dtype`.
    init(_ parameter: Tensor, shape: Shape, axis: Int, dtype: DType) throws {
        guard parameter.dtype == dtype else {
            throw TensorError("expected a scale or bias of \(dtype), found \(parameter.dtype)\(parameter.shape)")
        }
        let row = try Shape(Array(shape.dimensions[axis...]))
        if parameter.shape.count == row.count,
            parameter.shape.dimensions.drop(while: { $0 == 1 }).elementsEqual(
                row.dimensions.drop(while: { $0 == 1 }))
        {
            tensor = parameter
            rowStride = 0
            return
        }
        let isShared = parameter.shape.rank <= row.rank || parameter.shape.dimensions.dropLast(row.rank).allSatisfy { $0 == 1 }
        let target = isShared ? row : shape
        let expanded = try MutableTensor(dtype: dtype, shape: target)
        switch dtype {
        case .float32: try Self.expand(parameter, into: expanded, Float.self)
        default: try Self.expand(parameter, into: expanded, Double.self)
        }
        tensor = try expanded.finish()
        rowStride = isShared ? 0 : row.count
    }

    /// - Throws: ``TensorError`` where a known shape doesn't broadcast to `shape`.
    static func check(_ fact: Fact, _ shape: Shape, _ name: String) throws(TensorError) {
        guard let own = fact.shape else { return }
        guard own.rank <= shape.rank, try own.broadcast(with: shape) == shape else {
            throw TensorError("\(name) of shape \(own) doesn't broadcast to X of shape \(shape)")
        }
    }

    private static func expand<Element: TensorElement>(
        _ source: Tensor, into target: MutableTensor, _ type: Element.Type
    ) throws {
        let from = try source.view(of: type)
        let extents = target.shape.dimensions
        let skipped = max(source.shape.rank - extents.count, 0)
        let own = skipped == 0 ? source.shape : try Shape(Array(source.shape.dimensions[skipped...]))
        let steps = own.broadcastStrides(to: target.shape)
        var place = [Int](repeating: 0, count: extents.count)
        var offset = 0
        try target.withMutableSpan(of: type) { to in
            for index in 0..<to.count {
                to[index] = from[offset]
                for axis in stride(from: extents.count - 1, through: 0, by: -1) {
                    place[axis] += 1
                    offset += steps[axis]
                    if place[axis] < extents[axis] { break }
                    offset -= place[axis] * steps[axis]
                    place[axis] = 0
                }
            }
        }
    }
}
