/// Figures of one of a model's constant tensors.
public struct WeightStatistics: Sendable {
    /// The file's name of the tensor.
    public let name: String
    /// The type of its elements.
    public let dtype: DType
    /// Its extents.
    public let shape: Shape
    /// Bytes of its elements.
    public let byteCount: Int
    /// Whether the elements are there (``Tensor/hasValues``); where not, all figures below are nil or 0.
    public let hasValues: Bool
    /// Of the finite elements; nil where there are none, and for types that aren't numbers.
    public private(set) var minimum: Double?
    /// Of the finite elements, as ``minimum``.
    public private(set) var maximum: Double?
    /// Of the finite elements, as ``minimum``.
    public private(set) var mean: Double?
    /// Over all finite elements (over n).
    public private(set) var standardDeviation: Double?
    /// Elements that are NaN.
    public private(set) var nanCount = 0
    /// Elements that are +∞ or -∞.
    public private(set) var infinityCount = 0
    /// Elements that are 0 or -0.
    public private(set) var zeroCount = 0

    /// - Throws: ``TensorError`` where a half-precision tensor can't be widened for want of memory.
    public init(name: String, _ tensor: Tensor) throws {
        self.name = name
        dtype = tensor.dtype
        shape = tensor.shape
        byteCount = tensor.byteCount
        hasValues = tensor.hasValues
        guard hasValues else { return }
        switch tensor.dtype {
        case .float16, .bfloat16: try scan(Float.self, HalfPrecision.widen(tensor)) { Double($0) }
        case .float32: try scan(Float.self, tensor) { Double($0) }
        case .float64: try scan(Double.self, tensor) { $0 }
        case .int8: try scan(Int8.self, tensor) { Double($0) }
        case .int16: try scan(Int16.self, tensor) { Double($0) }
        case .int32: try scan(Int32.self, tensor) { Double($0) }
        case .int64: try scan(Int64.self, tensor) { Double($0) }
        case .uint8: try scan(UInt8.self, tensor) { Double($0) }
        case .uint16: try scan(UInt16.self, tensor) { Double($0) }
        case .uint32: try scan(UInt32.self, tensor) { Double($0) }
        case .uint64: try scan(UInt64.self, tensor) { Double($0) }
        case .bool: try scan(Bool.self, tensor) { $0 ? 1 : 0 }
        default: break
        }
    }

    private mutating func scan<Element: TensorElement>(_: Element.Type, _ tensor: Tensor, _ number: (Element) -> Double) throws
    {
        var (low, high, sum, squares) = (Double.infinity, -Double.infinity, 0.0, 0.0)
        var (finite, nan, infinite, zero) = (0, 0, 0, 0)
        try tensor.withSpan(of: Element.self) { elements in
            for index in 0..<elements.count {
                let value = number(elements[index])
                guard value.isFinite else {
                    if value.isNaN { nan += 1 } else { infinite += 1 }
                    continue
                }
                finite += 1
                if value == 0 { zero += 1 }
                low = min(low, value)
                high = max(high, value)
                sum += value
                squares += value * value
            }
        }
        (nanCount, infinityCount, zeroCount) = (nan, infinite, zero)
        guard finite > 0 else { return }
        let average = sum / Double(finite)
        (minimum, maximum, mean) = (low, high, average)
        standardDeviation = max(squares / Double(finite) - average * average, 0).squareRoot()
    }
}

extension Graph {
    /// The statistics of every constant tensor, those of graphs in attributes included, by the order in which nodes read them.
    public func weightStatistics() throws -> [WeightStatistics] {
        var seen: Set<ValueID> = []
        var result: [WeightStatistics] = []
        for node in nodes {
            for id in node.reads where seen.insert(id).inserted {
                if let tensor = initializers[id] { result.append(try WeightStatistics(name: values[id].name, tensor)) }
            }
            for (_, inner) in node.attributes.graphs { result += try inner.weightStatistics() }
        }
        for id in initializers.keys.sorted() where seen.insert(id).inserted {
            if let tensor = initializers[id] { result.append(try WeightStatistics(name: values[id].name, tensor)) }
        }
        return result
    }
}
