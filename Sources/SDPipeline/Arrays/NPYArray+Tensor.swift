import GraphRuntime

extension NPYArray {
    /// An array of float32 elements in row-major order.
    ///
    /// - Throws: ``NPYError`` where the values don't fill the shape.
    public init(floats: [Float], shape: [Int]) throws {
        try Self.ask(bytes: 4 * floats.count)
        try self.init(dtype: .float32, shape: shape, data: Array(Tensor(floats).bytes))
    }

    /// The elements as float32.
    ///
    /// - Throws: ``NPYError`` where they are of another type than float16, float32 and float64.
    public func floats() throws -> [Float] {
        let tensor = try tensor()
        try Self.ask(bytes: (tensor.dtype == .float64 ? 12 : 4) * tensor.count)
        switch tensor.dtype {
        case .float32: return try tensor.array(of: Float.self)
        case .float16: return try HalfPrecision.widen(tensor).array(of: Float.self)
        case .float64: return try tensor.array(of: Double.self).map { Float($0) }
        default: throw NPYError("its elements are \(dtype.rawValue), expected f2, f4 or f8", kind: .unsupported)
        }
    }

    /// The array as a tensor.
    ///
    /// - Parameter type: the declared type of the model's input that it is for. Numpy has no bfloat16: for such an input two-byte
    ///   unsigned integers are taken as its bit patterns.
    public func tensor(declaredAs type: ValueType? = nil) throws -> Tensor {
        var tensorType = dtype.tensorType
        if case .tensor(.bfloat16, _)? = type, dtype == .uint16 { tensorType = .bfloat16 }
        return try Tensor(dtype: tensorType, shape: Shape(shape), bytes: data)
    }

    /// A tensor's elements; bfloat16, which numpy lacks, becomes float32.
    ///
    /// - Parameters:
    ///   - tensor: the tensor.
    ///   - name: what the message calls the tensor.
    /// - Throws: ``NPYError`` for types that `.npy` files don't have, such as strings.
    public init(_ tensor: Tensor, name: String) throws {
        let tensor = tensor.dtype == .bfloat16 ? try HalfPrecision.widen(tensor) : tensor
        guard let dtype = DType.allCases.first(where: { $0.tensorType == tensor.dtype }) else {
            throw NPYError("\(name) is of type \(tensor.dtype), which the format doesn't have", kind: .unsupported)
        }
        try Self.ask(bytes: tensor.byteCount)
        try self.init(dtype: dtype, shape: tensor.shape.dimensions, data: Array(tensor.bytes))
    }
}

extension NPYArray.DType {
    var tensorType: GraphRuntime.DType {
        switch self {
        case .float16: .float16
        case .float32: .float32
        case .float64: .float64
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .bool: .bool
        }
    }
}
