import GraphRuntime

/// ONNX Resize (10 to 19) and Upsample (7 to 10).
struct Resize: Operator {
    enum Mode: String {
        case nearest, linear, cubic
    }

    enum AspectRatio: String {
        case stretch
        case notLarger = "not_larger"
        case notSmaller = "not_smaller"
    }

    var mode: Mode
    var coordinates: CoordinateMode
    var nearest: NearestMode
    var a: Float = -0.75
    var excludesOutside = false
    var extrapolation: Float = 0
    var isAntialiased = false
    var axes: [Int]?
    var aspectRatio = AspectRatio.stretch
    /// Scales as an attribute (Upsample 7); nil where they are an input.
    var scales: [Float]?
    /// The inputs, by their numbers: opset 10 has no regions and sizes.
    var scalesInput = 2
    var sizesInput: Int? = 3

    var floatingPointTypes: Set<DType>? { mode == .nearest ? nil : [.float32, .float64] }
    var kernelName: String? { mode.rawValue }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let plan = try plan(shape, inputs) else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try Shape(plan.map(\.output)))]
    }

    /// What becomes of each axis, nil where scales or sizes aren't known yet.
    func plan(_ shape: Shape, _ inputs: InferenceInputs) throws -> [ResizeAxis]? {
        let axes = try shape.distinctAxes(axes ?? Array(0..<shape.rank))
        var result = shape.dimensions.map { ResizeAxis(input: $0, output: $0, scale: 1) }
        if coordinates == .cropAndResize {
            guard let region = try Self.floats(inputs, 1) else { return nil }
            guard region.count == 2 * axes.count else {
                throw TensorError("a region of \(axes.count) axes needs \(2 * axes.count) numbers, found \(region.count)")
            }
            for (index, axis) in axes.enumerated() { result[axis].region = (region[index], region[index + axes.count]) }
        }
        if let sizesInput, let given = inputs.optional(sizesInput), given.shape?.count != 0 {
            guard let sizes = try inputs.integers(sizesInput) else { return nil }
            try apply(sizes: sizes, axes: axes, to: &result)
        } else {
            guard let scales = try scales ?? Self.floats(inputs, scalesInput) else { return nil }
            try Self.apply(scales: scales, axes: axes, to: &result)
        }
        for axis in result where axis.input == 0 && axis.output > 0 {
            throw TensorError("an axis without elements can't become one of extent \(axis.output)")
        }
        return result
    }

    private static func floats(_ inputs: InferenceInputs, _ index: Int) throws -> [Float]? {
        guard let tensor = try inputs[index].tensor else { return nil }
        guard tensor.dtype != .float64 else { return try tensor.array(of: Double.self).map { Float($0) } }
        return try HalfPrecision.widen(tensor).array(of: Float.self)
    }

    private static func apply(scales: [Float], axes: [Int], to result: inout [ResizeAxis]) throws {
        guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 && $0 < 1e9 }) else {
            throw TensorError("scales \(scales) don't fit \(axes.count) axes")
        }
        for (scale, axis) in zip(scales, axes) {
            result[axis].scale = scale
            let length = scale * Float(result[axis].input)
            result[axis].length = length
            result[axis].output = try checkedExtent(length.rounded(.down))
        }
    }

    private static func checkedExtent(_ value: Float) throws -> Int {
        guard value >= 0, value < 0x1p48 else { throw TensorError("an axis can't be resized to an extent of \(value)") }
        return Int(value)
    }

    private func apply(sizes: [Int], axes: [Int], to result: inout [ResizeAxis]) throws {
        guard sizes.count == axes.count, sizes.allSatisfy({ $0 >= 0 && $0 <= 1 << 40 }) else {
            throw TensorError("sizes \(sizes) don't fit \(axes.count) axes")
        }
        let scales = zip(sizes, axes).map { size, axis in
            result[axis].input == 0 ? 1 : Float(size) / Float(result[axis].input)
        }
        let common = scales.indices.filter { result[axes[$0]].input > 0 }
            .min { aspectRatio == .notLarger ? scales[$0] < scales[$1] : scales[$0] > scales[$1] }
        let inputs = axes.map { result[$0].input }
        for (index, axis) in axes.enumerated() {
            if aspectRatio == .stretch {
                result[axis].scale = scales[index]
                result[axis].output = sizes[index]
                result[axis].ratio = (sizes[index], result[axis].input)
            } else {
                let scale = common.map { scales[$0] } ?? 1
                result[axis].scale = scale
                result[axis].ratio = common.map { (sizes[$0], inputs[$0]) }
                result[axis].output = try Self.checkedExtent((scale * Float(result[axis].input) + 0.5).rounded(.down))
            }
        }
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        guard let plan = try plan(data.shape, context.inferenceInputs) else {
            throw TensorError("scales and sizes are missing")
        }
        let shape = try Shape(plan.map(\.output))
        guard shape.count > 0 else { return try context.moveElements(of: [data], into: 0, shape: shape) { _ in } }
        if mode == .nearest {
            let tables = plan.map { $0.nearestIndices(coordinates, nearest) }
            let fill = try Tensor.converted(extrapolation, to: data.dtype)
            let threads = context.threads
            return try context.moveElements(of: [data, fill], into: 0, shape: shape) { units in
                try units.resizeNearest(shape: data.shape, tables: tables, fill: 1, threads: threads)
            }
        }
        let filter = ResizeFilter(
            isCubic: mode == .cubic, a: a, excludesOutside: excludesOutside, isAntialiased: isAntialiased)
        let weights = plan.map { $0.isIdentity(coordinates) ? nil : filter.weights(of: $0, coordinates) }
        let output = try context.output(0)
        if data.dtype == .float64 {
            return try resample(data, weights: weights, constant: Double(extrapolation), into: output, threads: context.threads)
        }
        if data.dtype == .float32 {
            return try resample(data, weights: weights, constant: extrapolation, into: output, threads: context.threads)
        }
        let numbers = try Tensor(data.wholeNumbers().map { Float($0) }, shape: data.shape)
        let floats = try MutableTensor(dtype: .float32, shape: shape)
        try resample(numbers, weights: weights, constant: extrapolation, into: floats, threads: context.threads)
        try floats.tensor.write(into: output, rounding: isAntialiased ? .toNearestOrEven : .towardZero)
    }
}

extension Tensor {
    /// A number as one element of a type: 0 where the type has no such number.
    static func converted(_ value: Float, to dtype: DType) throws -> Tensor {
        guard value != 0 else { return try zero(dtype) }
        let output = dtype == .string ? nil : try MutableTensor(dtype: dtype, shape: .scalar)
        guard let output else { return try zero(dtype) }
        try Tensor([value], shape: .scalar).write(into: output, rounding: .towardZero)
        return output.tensor
    }

    /// Writes float32 elements as those of another type, brought into its range.
    ///
    /// - Throws: ``TensorError`` for types other than numbers.
    func write(into output: MutableTensor, rounding: FloatingPointRoundingRule) throws {
        let values = try view(of: Float.self)
        func write<Element: TensorElement & FixedWidthInteger>(_ type: Element.Type) throws {
            try output.withMutableSpan(of: type) { target in
                for index in 0..<target.count {
                    let rounded = values[index].rounded(rounding)
                    target[index] = Element(exactly: rounded) ?? (rounded > 0 ? .max : rounded < 0 ? .min : 0)
                }
            }
        }
        switch output.dtype {
        case .float32: try output.copy(from: self)
        case .float64:
            try output.withMutableSpan(of: Double.self) { target in
                for index in 0..<target.count { target[index] = Double(values[index]) }
            }
        case .float16, .bfloat16: try HalfPrecision.narrow(self, into: output)
        case .int8: try write(Int8.self)
        case .int16: try write(Int16.self)
        case .int32: try write(Int32.self)
        case .int64: try write(Int64.self)
        case .uint8: try write(UInt8.self)
        case .uint16: try write(UInt16.self)
        case .uint32: try write(UInt32.self)
        case .uint64: try write(UInt64.self)
        default: throw TensorError("\(output.dtype) isn't supported here")
        }
    }
}
