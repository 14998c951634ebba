import GraphRuntime

/// ZipMap (ai.onnx.ml, 1): for each row of scores a map from the labels to them.
struct ZipMap: Operator {
    let labels: Tensor

    /// The optimizer keeps tensors as constants and no maps, so it always runs.
    var isDeterministic: Bool { false }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape = try inputs[0].shape { try check(shape) }
        return [.unknown]
    }

    private func check(_ shape: Shape) throws {
        guard try FeatureMatrix.extents(shape).features == labels.count else {
            throw TensorError("\(labels.count) labels don't fit scores of shape \(shape)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try check(x.shape)
        let scores = try x.view(of: Float.self)
        let count = labels.count
        let rows = count == 0 ? 0 : x.count / count
        context.setOutput(
            0,
            .maps(
                try (0..<rows).map { row in
                    try ValueMap(keys: labels, values: Tensor(Array(scores.extracting(row * count..<(row + 1) * count))))
                }))
    }

    static let definition = OperatorDefinition(traditionalML: "ZipMap") { decoder in
        try decoder.requireInputs(1...1)
        let labels: Tensor =
            switch try decoder.classLabels(strings: "classlabels_strings", integers: "classlabels_int64s") {
            case .strings(let texts): try Tensor(strings: texts, shape: Shape([texts.count]))
            case .integers(let numbers): try Tensor(numbers.map { Int64($0) })
            }
        // Labels that are there twice are refused at load.
        _ = try ValueMap(keys: labels, values: labels)
        return ZipMap(labels: labels)
    }
}

/// DictVectorizer (ai.onnx.ml, 1): what a map holds for each word of a vocabulary, [1, words], with 0 or an empty string for what it lacks.
struct DictVectorizer: Operator {
    let vocabulary: Tensor

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        let map = try context.map(0)
        guard map.keys.dtype == vocabulary.dtype else {
            throw TensorError("the vocabulary is of type \(vocabulary.dtype), found \(map.kind)")
        }
        let fallback =
            map.values.dtype == .string
            ? try Tensor(strings: [""], shape: .scalar)
            : try Tensor(
                dtype: map.values.dtype, shape: .scalar, bytes: [UInt8](repeating: 0, count: map.values.dtype.bitWidth / 8))
        let table = try LookupTable(keys: map.keys, values: map.values, fallback: fallback)
        let found = try LookupKey.all(of: vocabulary).map { table.places[$0] }
        let shape = try Shape([1, vocabulary.count])
        if let strings = map.values.strings {
            let texts = found.map { $0.map { strings[$0] } ?? "" }
            return context.setOutput(0, .tensor(try Tensor(strings: texts, shape: shape)))
        }
        let (width, source) = (map.values.dtype.bitWidth / 8, map.values.bytes)
        let bytes = found.flatMap { place in
            (0..<width).map { byte in place.map { source[$0 * width + byte] } ?? 0 }
        }
        context.setOutput(0, .tensor(try Tensor(dtype: map.values.dtype, shape: shape, bytes: bytes)))
    }

    static let definition = OperatorDefinition(traditionalML: "DictVectorizer") { decoder in
        try decoder.requireInputs(1...1)
        switch try decoder.classLabels(strings: "string_vocabulary", integers: "int64_vocabulary") {
        case .strings(let texts): return DictVectorizer(vocabulary: try Tensor(strings: texts, shape: Shape([texts.count])))
        case .integers(let numbers): return DictVectorizer(vocabulary: try Tensor(numbers.map { Int64($0) }))
        }
    }
}

/// CastMap (ai.onnx.ml, 1): the values of a map by ascending keys, [1, keys]; or, of a sparse one, each at the place that its key is,
/// [1, max_map], with 0 elsewhere.
struct CastMap: Operator {
    enum Target: String, Sendable { case float = "TO_FLOAT", string = "TO_STRING", integer = "TO_INT64" }

    let target: Target
    /// The places of a sparse map; nil for a dense one.
    let places: Int?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        let map = try context.map(0)
        let keys = try map.keys.integers()
        let count = places ?? keys.count
        let shape = try Shape([1, count])
        var values: [Tensor?] = []
        if places == nil {
            values = try map.order().map { try map.values.element($0) }
        } else {
            values = [Tensor?](repeating: nil, count: count)
            for (index, key) in keys.enumerated() where key < count {
                guard key >= 0 else { throw TensorError("the key \(key) of a sparse map is negative") }
                values[key] = try map.values.element(index)
            }
        }
        switch target {
        case .string:
            let texts = try values.map { try $0.map(Self.text) ?? "0.f" }
            context.setOutput(0, .tensor(try Tensor(strings: texts, shape: shape)))
        case .float:
            context.setOutput(0, .tensor(try Tensor(try values.map { Float(try $0.map(Self.number) ?? 0) }, shape: shape)))
        case .integer:
            let numbers = try values.map { Int64(saturating: try $0.map(Self.number) ?? 0) }
            context.setOutput(0, .tensor(try Tensor(numbers, shape: shape)))
        }
    }

    /// With six digits behind the point, as C prints numbers.
    private static func text(_ value: Tensor) throws -> String {
        if let text = value.strings?.first { return text }
        let number = try number(value)
        guard number.isFinite else { return number.isNaN ? "nan" : number < 0 ? "-inf" : "inf" }
        let scaled = (abs(number) * 1e6).rounded(.toNearestOrEven)
        guard scaled < 0x1p63 else { return "\(number)" }
        let whole = Int(scaled)
        let fraction = "\(whole % 1_000_000)"
        let sign = number.sign == .minus ? "-" : ""
        return "\(sign)\(whole / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
    }

    private static func number(_ value: Tensor) throws -> Double {
        if let text = value.strings?.first {
            guard let number = Double(text) else {
                throw TensorError("\"\(text.shortened(to: String.longestName))\" isn't a number")
            }
            return number
        }
        return try value.doubles()[0]
    }

    static let definition = OperatorDefinition(traditionalML: "CastMap") { decoder in
        try decoder.requireInputs(1...1)
        let name = try decoder.string("cast_to", default: "TO_FLOAT")
        guard let target = Target(rawValue: name) else {
            throw TensorError("attribute cast_to should be TO_FLOAT, TO_STRING or TO_INT64, found \"\(name)\"")
        }
        let form = try decoder.string("map_form", default: "DENSE")
        guard form == "DENSE" || form == "SPARSE" else {
            throw TensorError("attribute map_form should be DENSE or SPARSE, found \"\(form)\"")
        }
        let places = try decoder.int("max_map", default: 1)
        guard form == "DENSE" || (1...1 << 24).contains(places) else {
            throw TensorError("attribute max_map should be 1 to \(1 << 24), found \(places)")
        }
        return CastMap(target: target, places: form == "DENSE" ? nil : places)
    }
}

extension RunContext {
    /// The map at input `index`.
    ///
    /// - Throws: ``TensorError`` where it is missing or something else.
    fileprivate func map(_ index: Int) throws(TensorError) -> ValueMap {
        guard index < inputs.count, let value = inputs[index] else { throw TensorError("input \(index) is missing") }
        guard case .map(let map) = value else { throw TensorError("expected a map, found \(value.kind)") }
        return map
    }
}
