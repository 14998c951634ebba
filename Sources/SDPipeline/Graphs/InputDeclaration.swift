import GraphRuntime

/// What a graph says about one of its inputs.
struct InputDeclaration: Sendable {
    let name: String
    let dtype: DType
    /// Nil where the rank isn't stated.
    let dimensions: [GraphRuntime.Dimension]?

    init(_ declaration: ValueDeclaration) {
        name = declaration.name
        if case .tensor(let dtype, let dimensions)? = declaration.type {
            self.dtype = dtype
            self.dimensions = dimensions
        } else {
            dtype = .float32
            dimensions = nil
        }
    }

    /// The extent of the first axis, where the export fixed it.
    var fixedBatch: Int? {
        if case .fixed(let extent)? = dimensions?.first, extent > 0 { extent } else { nil }
    }

    /// Whether the export fixed the extents of the last two axes, the rows and columns of pictures.
    var hasFixedSize: Bool {
        dimensions?.suffix(2).contains { if case .fixed = $0 { true } else { false } } ?? false
    }

    /// Numbers as a tensor of the declared type.
    ///
    /// - Throws: ``PipelineError`` where the type is none of numbers, or of whole numbers that these aren't.
    func tensor(_ values: [Float], shape: [Int]) throws -> Tensor {
        let shape = try Shape(shape)
        switch dtype {
        case .float32: return try Tensor(values, shape: shape)
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: shape)
            try HalfPrecision.narrow(Tensor(values, shape: shape), into: result)
            return try result.finish()
        case .float64: return try Tensor(values.map(Double.init), shape: shape)
        default: return try tensor(integers: values.map(wholeNumber), shape: shape.dimensions)
        }
    }

    /// Whole numbers, such as token ids, as a tensor of the declared type.
    ///
    /// - Throws: ``PipelineError`` where the type is none of whole numbers, or too small for these.
    func tensor(integers values: [Int], shape: [Int]) throws -> Tensor {
        let shape = try Shape(shape)
        switch dtype {
        case .int64: return try Tensor(values.map { Int64($0) }, shape: shape)
        case .int32: return try Tensor(values.map(narrowed), shape: shape)
        default: throw PipelineError("The input \(name) is declared as \(dtype), which isn't supported here.")
        }
    }

    /// Rows of one size, each a part of an array, as a tensor of the declared type: copied once where that is float32.
    func tensor(rows: [ArraySlice<Float>], shape: [Int]) throws -> Tensor {
        guard dtype == .float32 else { return try tensor(Array(rows.joined()), shape: shape) }
        let result = try MutableTensor(dtype: .float32, shape: Shape(shape))
        try result.withMutableSpan(of: Float.self) { elements in
            var position = 0
            for row in rows {
                let source = row.span
                for index in source.indices { elements[position + index] = source[index] }
                position += source.count
            }
        }
        return try result.finish()
    }

    private func wholeNumber(_ value: Float) throws -> Int {
        guard let integer = Int(exactly: value.rounded(.towardZero)) else {
            throw PipelineError("\(value) can't be the integer that the input \(name) takes.")
        }
        return integer
    }

    private func narrowed(_ value: Int) throws -> Int32 {
        guard let result = Int32(exactly: value) else {
            throw PipelineError("\(value) is beyond what the input \(name), of type int32, takes.")
        }
        return result
    }
}
