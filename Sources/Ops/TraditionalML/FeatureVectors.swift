import GraphRuntime

/// OneHotEncoder (ai.onnx.ml, 1): a new last axis with 1 at the place of each element's category.
struct OneHotEncoder: Operator {
    /// The last place of a category that is listed twice counts.
    let places: [LookupKey: Int]
    let isOfTexts: Bool
    let count: Int
    /// Whether a category that isn't listed gives zeros, and no error.
    let allowsOthers: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let dtype = x.dtype, (dtype == .string) != isOfTexts {
            throw TensorError("the categories are \(isOfTexts ? "strings" : "integers"), found \(dtype)")
        }
        return [Fact(dtype: .float32, shape: try x.shape.map { try Shape($0.dimensions + [count]) })]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let keys: [LookupKey]
        // Other numbers lose their fraction first.
        if x.strings != nil { keys = try LookupKey.all(of: x) } else { keys = try x.wholeNumbers().map(Self.key) }
        try context.output(0).withMutableSpan(of: Float.self) { y in
            for index in 0..<y.count { y[index] = 0 }
            for (index, key) in keys.enumerated() {
                if let place = places[key] {
                    y[index * count + place] = 1
                } else if !allowsOthers {
                    throw TensorError("element \(index) is of none of the \(count) categories, and attribute zeros is 0")
                }
            }
        }
    }

    private static func key(_ number: Int) -> LookupKey { .bits(UInt64(bitPattern: Int64(number))) }

    static let definition = OperatorDefinition(traditionalML: "OneHotEncoder") { decoder in
        try decoder.requireInputs(1...1)
        let texts = try decoder.optionalStrings("cats_strings") ?? []
        let numbers = try decoder.optionalInts("cats_int64s") ?? []
        guard texts.isEmpty != numbers.isEmpty else {
            throw TensorError("expected one of the attributes cats_strings and cats_int64s")
        }
        let keys = texts.isEmpty ? numbers.map(key) : texts.map { LookupKey.text(Array($0.utf8)) }
        return OneHotEncoder(
            places: Dictionary(keys.enumerated().map { ($1, $0) }, uniquingKeysWith: { _, last in last }),
            isOfTexts: !texts.isEmpty, count: keys.count, allowsOthers: try decoder.bool("zeros", default: true))
    }
}

/// ArrayFeatureExtractor (ai.onnx.ml, 1): elements of the last axis by their indices; of one axis, [1, indices].
struct ArrayFeatureExtractor: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (x, indices) = (try inputs[0], try inputs[1])
        // Strings have no storage to be given.
        guard x.dtype != .string, let shape = x.shape, let count = indices.shape?.count else { return [Fact(dtype: x.dtype)] }
        return [Fact(dtype: x.dtype, shape: try Self.shape(shape, count))]
    }

    private static func shape(_ x: Shape, _ count: Int) throws -> Shape {
        guard x.rank > 0 else { throw TensorError("expected at least one axis, found \(x)") }
        return try Shape((x.rank == 1 ? [1] : x.dimensions.dropLast()) + [count])
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let indices = try context.input(1).integers()
        let shape = try Self.shape(x.shape, indices.count)
        let extent = x.shape[x.shape.rank - 1]
        guard indices.allSatisfy({ (0..<extent).contains($0) }) else {
            throw TensorError("an index is outside of an axis of extent \(extent)")
        }
        let rows = extent == 0 ? 0 : x.count / extent
        if let strings = x.strings {
            let texts = (0..<rows).flatMap { row in indices.map { strings[row * extent + $0] } }
            return context.setOutput(0, .tensor(try Tensor(strings: texts, shape: shape)))
        }
        let (width, source) = (x.dtype.bitWidth / 8, x.bytes)
        guard width > 0 else { throw TensorError("elements of type \(x.dtype) share their bytes") }
        try context.output(0).withMutableBytes { y in
            var place = 0
            for row in 0..<rows {
                for index in indices {
                    let start = (row * extent + index) * width
                    for byte in 0..<width { y[place + byte] = source[start + byte] }
                    place += width
                }
            }
        }
    }

    static let definition = OperatorDefinition(traditionalML: "ArrayFeatureExtractor") { decoder in
        try decoder.requireInputs(2...2)
        return ArrayFeatureExtractor()
    }
}

/// FeatureVectorizer (ai.onnx.ml, 1): features beside one another, in single precision; each input is cut, or filled up with zeros, to
/// its number of features.
struct FeatureVectorizer: Operator {
    let widths: [Int]

    var floatingPointTypes: Set<DType>? { DType.wideFloats }
    private var width: Int { widths.reduce(0, +) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard inputs.count == widths.count else {
            throw TensorError("\(inputs.count) inputs don't fit the \(widths.count) inputdimensions")
        }
        return [
            Fact(dtype: .float32, shape: try FeatureMatrix.rows(inputs[0].shape).map { try Shape([$0, width]) })
        ]
    }

    func run(_ context: inout RunContext) throws {
        var parts: [FeatureMatrix] = []
        for index in widths.indices { parts.append(try FeatureMatrix(context.input(index))) }
        guard let rows = parts.first?.rows, parts.allSatisfy({ $0.rows == rows }) else {
            throw TensorError("the inputs have \(parts.map(\.rows)) rows, expected as many in each")
        }
        try context.output(0).withMutableSpan(of: Float.self) { y in
            var place = 0
            for row in 0..<rows {
                for (part, width) in zip(parts, widths) {
                    for feature in 0..<width {
                        y[place] = feature < part.features ? Float(part[row, feature]) : 0
                        place += 1
                    }
                }
            }
        }
    }

    static let definition = OperatorDefinition(traditionalML: "FeatureVectorizer") { decoder in
        try decoder.requireInputs(1...Int.max)
        guard let widths = try decoder.optionalInts("inputdimensions"), widths.count == decoder.inputCount,
            widths.allSatisfy({ (0...1 << 32).contains($0) })
        else {
            throw TensorError("attribute inputdimensions should have a number for each of the \(decoder.inputCount) inputs")
        }
        return FeatureVectorizer(widths: widths)
    }
}
