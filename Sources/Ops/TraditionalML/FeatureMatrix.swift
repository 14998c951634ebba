import GraphRuntime

/// Rows of features, [N, F], or one row [F], of any type that ai.onnx.ml takes as numbers.
struct FeatureMatrix: Sendable {
    let rows: Int
    let features: Int
    private let elements: Elements

    private enum Elements: Sendable {
        case float(TensorView<Float>)
        case double(TensorView<Double>)
        case int32(TensorView<Int32>)
        case int64(TensorView<Int64>)
    }

    init(_ tensor: Tensor) throws(TensorError) {
        (rows, features) = try Self.extents(tensor.shape)
        switch tensor.dtype {
        case .float32: elements = .float(try tensor.view(of: Float.self))
        case .float64: elements = .double(try tensor.view(of: Double.self))
        case .int32: elements = .int32(try tensor.view(of: Int32.self))
        case .int64: elements = .int64(try tensor.view(of: Int64.self))
        default: throw TensorError("expected features of float32, float64, int32 or int64, found \(tensor.dtype)")
        }
    }

    /// The rows and the features of each.
    ///
    /// - Throws: ``TensorError`` for shapes of other than one or two axes.
    static func extents(_ shape: Shape) throws(TensorError) -> (rows: Int, features: Int) {
        switch shape.rank {
        case 1: return (1, shape[0])
        case 2: return (shape[0], shape[1])
        default: throw TensorError("expected features of shape [N, F] or [F], found \(shape)")
        }
    }

    /// The rows of a shape; nil where it isn't known yet.
    static func rows(_ shape: Shape?) throws(TensorError) -> Int? {
        guard let shape else { return nil }
        return try extents(shape).rows
    }

    /// One feature of a row.
    subscript(row: Int, feature: Int) -> Double {
        let index = row * features + feature
        return switch elements {
        case .float(let view): Double(view[index])
        case .double(let view): view[index]
        case .int32(let view): Double(view[index])
        case .int64(let view): Double(view[index])
        }
    }

    /// The first features of some rows, one row behind the other.
    func values(_ rows: Range<Int>, features count: Int) -> [Double] {
        func values(_ element: (Int) -> Double) -> [Double] {
            rows.flatMap { row in (row * features..<row * features + count).lazy.map(element) }
        }
        return switch elements {
        case .float(let view): values { Double(view[$0]) }
        case .double(let view): values { view[$0] }
        case .int32(let view): values { Double(view[$0]) }
        case .int64(let view): values { Double(view[$0]) }
        }
    }

    /// - Throws: ``TensorError`` where there are fewer features than a model reads.
    func require(features count: Int) throws(TensorError) {
        guard features >= count else { throw TensorError("expected \(count) features, found \(features)") }
    }
}

extension Tensor {
    /// The elements of an attribute of floating-point numbers.
    ///
    /// - Throws: ``TensorError`` for other types.
    func doubles() throws -> [Double] {
        let wide = try HalfPrecision.widen(self)
        switch wide.dtype {
        case .float32: return try wide.array(of: Float.self).map { Double($0) }
        case .float64: return try wide.array(of: Double.self)
        default: throw TensorError("expected floating-point numbers, found \(dtype)\(shape)")
        }
    }
}

extension NodeDecoder {
    /// Numbers that an attribute `name` has in single precision, or `name_as_tensor` in any.
    ///
    /// - Throws: ``TensorError`` where both are given.
    mutating func numbers(_ name: String) throws -> [Double]? {
        let floats = try optionalFloats(name)
        guard let tensor = try optionalTensor("\(name)_as_tensor") else { return floats?.map { Double($0) } }
        guard floats?.isEmpty ?? true else { throw TensorError("attributes \(name) and \(name)_as_tensor are both given") }
        return try tensor.doubles()
    }

    /// The labels of classes, of which strings or integers must be given.
    mutating func classLabels(strings: String, integers: String) throws(TensorError) -> ClassLabels {
        let texts = try optionalStrings(strings) ?? []
        let numbers = try optionalInts(integers) ?? []
        guard texts.isEmpty != numbers.isEmpty else {
            throw TensorError(
                "expected one of the attributes \(strings) and \(integers), found \(texts.isEmpty ? "none" : "both")")
        }
        return texts.isEmpty ? .integers(numbers) : .strings(texts)
    }
}

/// The labels of a classifier's classes.
enum ClassLabels: Sendable {
    case strings([String])
    case integers([Int])

    var count: Int {
        switch self {
        case .strings(let labels): labels.count
        case .integers(let labels): labels.count
        }
    }

    /// The fact of the labels of so many rows; strings come without a shape, since they have no storage to be given.
    func fact(rows: Int?) throws -> Fact {
        switch self {
        case .strings: Fact(dtype: .string)
        case .integers: Fact(dtype: .int64, shape: try rows.map { try Shape([$0]) })
        }
    }

    /// States the output `index`: the label of each row's class.
    func write(_ classes: [ChosenClass], to index: Int, _ context: inout RunContext) throws {
        switch self {
        case .strings(let labels):
            guard index < context.outputs.count else { return }
            let texts = classes.map { chosen in
                switch chosen {
                case .label(let place): labels[place]
                case .positive: "1"
                case .negative: "0"
                }
            }
            context.setOutput(index, .tensor(try Tensor(strings: texts, shape: Shape([texts.count]))))
        case .integers(let labels):
            guard let output = context.optionalOutput(index) else { return }
            let numbers = classes.map { chosen -> Int64 in
                switch chosen {
                case .label(let place): Int64(labels[place])
                case .positive: 1
                case .negative: 0
                }
            }
            try output.copy(from: Tensor(numbers))
        }
    }
}

/// What a classifier chose for a row: one of its labels, or 1 or 0 where it has no labels for the two sides of a decision.
enum ChosenClass: Sendable {
    case label(Int)
    case positive
    case negative
}
