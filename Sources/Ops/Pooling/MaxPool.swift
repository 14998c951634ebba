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
        if data.dtype == .float32, let values = context.optionalOutput(0), context.optionalOutput(1) == nil,
            try attributes.geometry(data.shape).poolInVectors(.max, data, into: values, threads: context.threads)
        {
            return
        }
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
        let source = try data.view(of: type)
        let columnMajor = isColumnMajor ? ColumnMajor(Array(data.shape.dimensions[2...])) : nil
        let planeSize = data.shape.count(2..<data.shape.rank)
        let windows = PoolWindows(try attributes.geometry(data.shape))
        @Sendable func largest(_ window: PoolWindow) -> (value: Element, index: Int64) {
            var (best, index) = (lowest, -1)
            for row in 0..<window.rowCount {
                let start = window.start(row)
                for column in 0..<window.columns {
                    let place = start &+ column &* window.step
                    let value = source[place]
                    // NaN is larger than all numbers.
                    if value > best || index < 0 || (value != value && best == best) {
                        (best, index) = (value, place - window.planeStart)
                    }
                }
            }
            let place = columnMajor?.index(max(index, 0)) ?? max(index, 0)
            return (best, Int64(window.plane * planeSize + place))
        }
        let (unit, grain, threads) = (windows.rowLength, windows.grain, context.threads)
        switch (context.optionalOutput(0), context.optionalOutput(1)) {
        case (let values?, let indices?):
            try values.forEachSlice(
                of: type, unit: unit, and: indices, of: Int64.self, otherUnit: unit, grain: grain, threads: threads
            ) { rows, values, indices in
                windows.forEach(in: rows) { window, place in (values[place], indices[place]) = largest(window) }
            }
        case (let values?, nil):
            try values.forEachSlice(of: type, unit: unit, grain: grain, threads: threads) { rows, values in
                windows.forEach(in: rows) { window, place in values[place] = largest(window).value }
            }
        case (nil, let indices?):
            try indices.forEachSlice(of: Int64.self, unit: unit, grain: grain, threads: threads) { rows, indices in
                windows.forEach(in: rows) { window, place in indices[place] = largest(window).index }
            }
        case (nil, nil): break
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
