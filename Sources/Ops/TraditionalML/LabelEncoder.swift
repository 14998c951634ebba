import GraphRuntime

/// An element of a tensor to look up: numbers by their bits, texts by their bytes.
enum LookupKey: Hashable, Sendable {
    case bits(UInt64)
    case text([UInt8])

    /// The keys of all elements of a tensor of strings or numbers; NaNs are one key, and so are the two zeros.
    ///
    /// - Throws: ``TensorError`` for other types.
    static func all(of tensor: Tensor) throws -> [LookupKey] {
        if let strings = tensor.strings { return strings.map { .text(Array($0.utf8)) } }
        // The order of numbers is theirs alone: equal where they are.
        return try tensor.orderKeys().map { .bits($0) }
    }
}

/// Values of a tensor of any type by keys of another, and one for keys that aren't there.
struct LookupTable: Sendable {
    let keyType: DType
    let places: [LookupKey: Int]
    let values: Tensor
    let fallback: Tensor

    /// The first of keys that are there twice counts.
    ///
    /// - Parameter findsNaN: whether a NaN is found where NaN is a key.
    init(keys: Tensor, values: Tensor, fallback: Tensor, findsNaN: Bool = false) throws {
        guard keys.count == values.count else {
            throw TensorError("\(keys.count) keys and \(values.count) values don't fit together")
        }
        guard values.dtype == fallback.dtype, fallback.count == 1 else {
            throw TensorError("the default of type \(fallback.dtype)\(fallback.shape) isn't one \(values.dtype)")
        }
        guard values.dtype == .string || values.dtype.bitWidth >= 8 else {
            throw TensorError("values of type \(values.dtype) aren't supported")
        }
        keyType = keys.dtype
        var places = Dictionary(
            try LookupKey.all(of: keys).enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        if !findsNaN, keys.dtype.isFloatingPoint { places[LookupKey.bits(.max)] = nil }
        self.places = places
        (self.values, self.fallback) = (values, fallback)
    }

    /// Strings come without a shape, since they have no storage to be given.
    func fact(_ x: Fact) throws(TensorError) -> Fact {
        if let dtype = x.dtype, dtype != keyType { throw TensorError("expected keys of type \(keyType), found \(dtype)") }
        return Fact(dtype: values.dtype, shape: values.dtype == .string ? nil : x.shape)
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let found = try LookupKey.all(of: x).map { places[$0] }
        if let strings = values.strings, let other = fallback.strings?.first {
            let texts = found.map { $0.map { strings[$0] } ?? other }
            return context.setOutput(0, .tensor(try Tensor(strings: texts, shape: x.shape)))
        }
        let (width, source, other) = (values.dtype.bitWidth / 8, values.bytes, fallback.bytes)
        try context.output(0).withMutableBytes { y in
            for (index, place) in found.enumerated() {
                for byte in 0..<width { y[index * width + byte] = place.map { source[$0 * width + byte] } ?? other[byte] }
            }
        }
    }
}

/// LabelEncoder (ai.onnx.ml, 1, 2 and 4): each element replaced by the value that its key has.
struct LabelEncoder: Operator {
    let table: LookupTable

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try table.fact(inputs[0])] }
    func run(_ context: inout RunContext) throws { try table.run(&context) }

    static let definitions = [
        OperatorDefinition(traditionalML: "LabelEncoder", since: 1) { decoder in
            try decoder.requireInputs(1...1)
            guard let texts = try decoder.optionalStrings("classes_strings") else {
                throw TensorError("attribute classes_strings is missing")
            }
            return try TwoWayLookup(texts: texts, numbers: texts.indices.map { $0 }, &decoder)
        },
        OperatorDefinition(traditionalML: "LabelEncoder", since: 2) { decoder in
            try decoder.requireInputs(1...1)
            return LabelEncoder(table: try table(&decoder, findsNaN: false))
        },
        OperatorDefinition(traditionalML: "LabelEncoder", since: 4) { decoder in
            try decoder.requireInputs(1...1)
            return LabelEncoder(table: try table(&decoder, findsNaN: true))
        },
    ]

    private static func table(_ decoder: inout NodeDecoder, findsNaN: Bool) throws -> LookupTable {
        guard let keys = try list(&decoder, "keys"), let values = try list(&decoder, "values") else {
            throw TensorError("the keys or the values are missing")
        }
        let fallbacks = (
            text: try decoder.string("default_string", default: "_Unused"),
            number: try decoder.int("default_int64", default: -1), float: try decoder.float("default_float", default: -0.0)
        )
        if let fallback = try decoder.optionalTensor("default_tensor") {
            return try LookupTable(keys: keys, values: values, fallback: fallback, findsNaN: findsNaN)
        }
        let fallback: Tensor =
            switch values.dtype {
            case .string: try Tensor(strings: [fallbacks.text], shape: .scalar)
            case .float32: try Tensor(scalar: fallbacks.float)
            case .float64: try Tensor(scalar: Double(fallbacks.float))
            case .int64: try Tensor(scalar: Int64(fallbacks.number))
            case .int32: try Tensor(scalar: Int32(truncatingIfNeeded: fallbacks.number))
            case .int16: try Tensor(scalar: Int16(truncatingIfNeeded: fallbacks.number))
            default: throw TensorError("values of type \(values.dtype) have no default")
            }
        return try LookupTable(keys: keys, values: values, fallback: fallback, findsNaN: findsNaN)
    }

    /// The one list of attributes with this prefix that isn't empty.
    private static func list(_ decoder: inout NodeDecoder, _ prefix: String) throws -> Tensor? {
        var lists: [Tensor] = []
        if let texts = try decoder.optionalStrings("\(prefix)_strings"), !texts.isEmpty {
            lists.append(try Tensor(strings: texts, shape: Shape([texts.count])))
        }
        if let numbers = try decoder.optionalInts("\(prefix)_int64s"), !numbers.isEmpty {
            lists.append(try Tensor(numbers.map { Int64($0) }))
        }
        if let numbers = try decoder.optionalFloats("\(prefix)_floats"), !numbers.isEmpty { lists.append(try Tensor(numbers)) }
        if let tensor = try decoder.optionalTensor("\(prefix)_tensor") { lists.append(tensor) }
        guard lists.count <= 1 else { throw TensorError("the \(prefix) are given in \(lists.count) types, expected one") }
        return lists.first
    }
}

/// Texts by numbers or numbers by texts, whichever the input is: LabelEncoder-1 and CategoryMapper.
struct TwoWayLookup: Operator {
    let toNumber: LookupTable
    let toText: LookupTable

    init(texts: [String], numbers: [Int], _ decoder: inout NodeDecoder) throws {
        guard texts.count == numbers.count else {
            throw TensorError("\(texts.count) strings and \(numbers.count) integers don't fit together")
        }
        let text = try Tensor(strings: texts, shape: Shape([texts.count]))
        let number = try Tensor(numbers.map { Int64($0) })
        toNumber = try LookupTable(
            keys: text, values: number, fallback: Tensor(scalar: Int64(try decoder.int("default_int64", default: -1))))
        toText = try LookupTable(
            keys: number, values: text,
            fallback: Tensor(strings: [try decoder.string("default_string", default: "_Unused")], shape: .scalar))
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        guard let dtype = x.dtype else { return [.unknown] }
        return [try (dtype == .string ? toNumber : toText).fact(x)]
    }

    func run(_ context: inout RunContext) throws {
        try (context.input(0).dtype == .string ? toNumber : toText).run(&context)
    }
}

/// CategoryMapper (ai.onnx.ml, 1).
enum CategoryMapper {
    static let definition = OperatorDefinition(traditionalML: "CategoryMapper") { decoder in
        try decoder.requireInputs(1...1)
        return try TwoWayLookup(
            texts: try decoder.optionalStrings("cats_strings") ?? [], numbers: try decoder.optionalInts("cats_int64s") ?? [],
            &decoder)
    }
}
