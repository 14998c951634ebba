/// How far a tensor is from the one that it should be.
public struct TensorDifference: Sendable, Equatable {
    /// The largest difference of two elements; infinite where one is a number and the other isn't, 0 for no elements.
    public private(set) var largest = 0.0
    /// The largest magnitude of a finite element of the reference.
    public private(set) var scale = 0.0
    /// The mean of the differences' magnitudes.
    public private(set) var mean = 0.0
    /// The mean of the magnitudes of the reference's finite elements.
    public private(set) var meanScale = 0.0
    /// Where the largest difference is, as an index into the elements.
    public private(set) var position = 0
    /// The element at ``position``.
    public private(set) var found = 0.0
    /// The reference's element at ``position``.
    public private(set) var expected = 0.0
    /// What keeps the two from being compared (type or shape); the figures are 0 then.
    public private(set) var obstacle: String?

    /// The largest difference over the scale; the largest difference itself where the scale is 0.
    public var relative: Double { scale > 0 ? largest / scale : largest }

    /// The mean difference over the mean magnitude; the mean difference itself where that is 0.
    public var relativeMean: Double { meanScale > 0 ? mean / meanScale : mean }

    /// - Throws: ``TensorError`` for types that aren't numbers.
    public init(_ tensor: Tensor, from reference: Tensor) throws {
        guard tensor.shape == reference.shape else {
            obstacle = "has shape \(tensor.shape), expected \(reference.shape)"
            return
        }
        guard tensor.dtype.isFloatingPoint == reference.dtype.isFloatingPoint else {
            obstacle = "is of type \(tensor.dtype), expected \(reference.dtype)"
            return
        }
        let (values, expected) = (try tensor.rounded(as: reference).doubles(), try reference.doubles())
        var (largest, scale, sum, magnitudes, position) = (0.0, 0.0, 0.0, 0.0, 0)
        for index in values.indices {
            let (a, b) = (values[index], expected[index])
            if b.isFinite {
                scale = max(scale, abs(b))
                magnitudes += abs(b)
            }
            if a == b || (a.isNaN && b.isNaN) { continue }
            let difference = a.isFinite && b.isFinite ? abs(a - b) : .infinity
            sum += difference
            if difference > largest { (largest, position) = (difference, index) }
        }
        self.largest = largest
        self.scale = scale
        self.position = position
        mean = values.isEmpty ? 0 : sum / Double(values.count)
        meanScale = values.isEmpty ? 0 : magnitudes / Double(values.count)
        found = values.isEmpty ? 0 : values[position]
        self.expected = values.isEmpty ? 0 : expected[position]
    }

    /// Whether the two differ: integers at all; floating-point numbers where one element does by more than `tolerance` times the scale,
    /// or all together by more than a tenth of `tolerance` in relation to their mean magnitude. Rounding, which the layers of a model
    /// make larger, spares most elements and shows in few; a wrong formula shows in all.
    public func exceeds(_ tolerance: Double) -> Bool {
        obstacle != nil || relative > tolerance || relativeMean > tolerance / 10
    }
}

extension Tensor {
    /// Float32 numbers in the 16 bits of a reference, which may have been rounded where a run keeps float32, see ``HalfRounding``.
    fileprivate func rounded(as reference: Tensor) throws -> Tensor {
        guard dtype == .float32, reference.dtype.isHalf else { return self }
        let result = try MutableTensor(dtype: reference.dtype, shape: shape)
        try HalfPrecision.narrow(self, into: result)
        return try result.finish()
    }

    /// All elements as float64; integers beyond 2⁵³ are rounded.
    ///
    /// - Throws: ``TensorError`` for types that aren't numbers.
    func doubles() throws -> [Double] {
        switch dtype {
        case .float16, .bfloat16: try HalfPrecision.widen(self).array(of: Float.self).map(Double.init)
        case .float32: try array(of: Float.self).map(Double.init)
        case .float64: try array(of: Double.self)
        case .int8: try array(of: Int8.self).map(Double.init)
        case .int16: try array(of: Int16.self).map(Double.init)
        case .int32: try array(of: Int32.self).map(Double.init)
        case .int64: try array(of: Int64.self).map(Double.init)
        case .uint8: try array(of: UInt8.self).map(Double.init)
        case .uint16: try array(of: UInt16.self).map(Double.init)
        case .uint32: try array(of: UInt32.self).map(Double.init)
        // By itself, Double.init would be the one of a pattern of bits.
        case .uint64: try array(of: UInt64.self).map { Double($0) }
        case .bool: try array(of: Bool.self).map { $0 ? 1 : 0 }
        default: throw TensorError("tensors of \(dtype) can't be compared")
        }
    }
}
