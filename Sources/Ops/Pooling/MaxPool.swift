import GraphRuntime

/// ONNX MaxPool (1 to 22), with the indices of the largest elements.
struct MaxPool: Operator {
    var attributes: PoolAttributes
    /// Whether indices count columns first.
    var isColumnMajor: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let fact = try attributes.infer(inputs)
        return [fact, Fact(dtype: .int64, shape: fact.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        switch data.dtype {
        case .float32: try pool(data, Float.self, lowest: -.infinity, context)
        case .float64: try pool(data, Double.self, lowest: -.infinity, context)
        case .int8: try pool(data, Int8.self, lowest: .min, context)
        case .uint8: try pool(data, UInt8.self, lowest: .min, context)
        default: throw TensorError("MaxPool of \(data.dtype) isn't supported")
        }
    }

    private func pool<Element: TensorElement & Comparable>(
        _ data: Tensor, _ type: Element.Type, lowest: Element, _ context: RunContext
    ) throws {
        let source = unsafe try data.pointer(to: type)
        nonisolated(unsafe) let target = unsafe try context.optionalOutput(0)?.buffer(of: type)
        nonisolated(unsafe) let indices = unsafe try context.optionalOutput(1)?.buffer(of: Int64.self)
        let planeSize = data.shape.count(2..<data.shape.rank)
        let columnMajor = isColumnMajor ? ColumnMajor(Array(data.shape.dimensions[2...])) : nil
        unsafe forEachWindow(try attributes.geometry(data.shape), over: source, threads: context.threads) {
            window, plane, place in
            var (best, index) = (lowest, -1)
            for row in unsafe 0..<window.rowCount {
                let offset = unsafe window.rowOffset(row)
                for column in unsafe 0..<window.columns {
                    let value = unsafe window.plane[offset &+ column &* window.step]
                    if value > best || index < 0 { (best, index) = unsafe (value, offset + column * window.step) }
                }
            }
            unsafe target?[place] = best
            unsafe indices?[place] = Int64(plane * planeSize + (columnMajor?.index(max(index, 0)) ?? max(index, 0)))
        }
    }
}

/// Numbers the elements of a plane with the first axis fastest.
private struct ColumnMajor {
    let extents: [Int]

    init(_ extents: [Int]) { self.extents = extents }

    func index(_ rowMajor: Int) -> Int {
        var (rest, place, step) = (rowMajor, [Int](repeating: 0, count: extents.count), 1)
        for axis in extents.indices.reversed() {
            place[axis] = rest % extents[axis]
            rest /= extents[axis]
        }
        var result = 0
        for axis in extents.indices {
            result += place[axis] * step
            step *= extents[axis]
        }
        return result
    }
}

extension MaxPool {
    static let definitions = OperatorDefinition.all("MaxPool", since: [1, 8, 10, 11, 12, 22]) { decoder in
        try decoder.requireInputs(1...1)
        return MaxPool(
            attributes: try PoolAttributes(&decoder), isColumnMajor: try decoder.bool("storage_order", default: false))
    }
}
