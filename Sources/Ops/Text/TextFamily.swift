import GraphRuntime

/// Operators on texts.
enum TextFamily {
    static let definitions: [OperatorDefinition] = [
        StringConcat.definition, StringSplit.definition, StringNormalizer.definition, RegexFullMatch.definition,
        TfIdfVectorizer.definition, Tokenizer.definition, MurmurHash3.definition,
    ]
}

extension Tensor {
    /// The elements of a tensor of strings.
    ///
    /// - Throws: ``TensorError`` for other types.
    func texts() throws(TensorError) -> [String] {
        guard let strings else { throw TensorError("expected strings, found \(dtype)\(shape)") }
        return strings
    }
}

/// Rows of texts behind each other, each filled up to the longest one, whose length is the second result.
///
/// - Throws: ``TensorError`` for more than 2^26 texts, a gigabyte without what they hold.
func filled(_ rows: [[String]], with padding: String) throws(TensorError) -> ([String], width: Int) {
    let width = rows.map(\.count).max() ?? 0
    guard width == 0 || rows.count <= (1 << 26) / width else {
        throw TensorError(
            "\(rows.count) rows of \(width) texts are more than the \(1 << 26) that a tensor of texts may have here")
    }
    return (rows.flatMap { $0 + [String](repeating: padding, count: width - $0.count) }, width)
}

/// StringConcat-20: both texts one behind the other, broadcast.
struct StringConcat: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .string)] }

    func run(_ context: inout RunContext) throws {
        let (a, b) = (try context.input(0), try context.input(1))
        let (left, right) = (try a.texts(), try b.texts())
        let shape = try a.shape.broadcast(with: b.shape)
        let strides = (a.shape.broadcastStrides(to: shape), b.shape.broadcastStrides(to: shape))
        var result: [String] = []
        for index in 0..<shape.count {
            var (rest, first, second) = (index, 0, 0)
            for axis in (0..<shape.rank).reversed() {
                first += rest % shape[axis] * strides.0[axis]
                second += rest % shape[axis] * strides.1[axis]
                rest /= shape[axis]
            }
            result.append(left[first] + right[second])
        }
        context.setOutput(0, .tensor(try Tensor(strings: result, shape: shape)))
    }

    static let definition = OperatorDefinition("StringConcat", since: 20) { decoder in
        try decoder.requireInputs(2...2)
        return StringConcat()
    }
}

/// StringSplit-20: the parts of each text, along a new last axis that is filled up with empty ones; and their number.
struct StringSplit: Operator {
    /// Empty for runs of white space, of which those at the ends don't count.
    let delimiter: String
    /// Splits of a text at most; what is left is its last part. Nil for all.
    let most: Int?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        Array([Fact(dtype: .string), Fact(dtype: .int64, shape: try inputs[0].shape)].prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let parts = try x.texts().map(split)
        let (filled, width) = try filled(parts, with: "")
        let shape = try Shape(x.shape.dimensions + [width])
        context.setOutput(0, .tensor(try Tensor(strings: filled, shape: shape)))
        try context.optionalOutput(1)?.copy(from: Tensor(parts.map { Int64($0.count) }, shape: x.shape))
    }

    private func split(_ text: String) -> [String] {
        delimiter.isEmpty ? atSpaces(text) : atDelimiters(Array(text.utf8), Array(delimiter.utf8))
    }

    private func atSpaces(_ text: String) -> [String] {
        var result: [String] = []
        var rest = text.unicodeScalars.drop(while: \.properties.isWhitespace)
        while !rest.isEmpty {
            if result.count == most {
                // The white space behind the last part stays, as in Python.
                result.append(String(rest))
                break
            }
            let part = rest.prefix { !$0.properties.isWhitespace }
            result.append(String(part))
            rest = rest[part.endIndex...].drop(while: \.properties.isWhitespace)
        }
        return result
    }

    private func atDelimiters(_ text: [UInt8], _ delimiter: [UInt8]) -> [String] {
        if text.isEmpty { return [] }
        var result: [String] = []
        var (start, position) = (0, 0)
        while position + delimiter.count <= text.count, result.count != most {
            if text[position..<position + delimiter.count].elementsEqual(delimiter) {
                result.append(String(decoding: text[start..<position], as: UTF8.self))
                position += delimiter.count
                start = position
            } else {
                position += 1
            }
        }
        return result + [String(decoding: text[start...], as: UTF8.self)]
    }

    static let definition = OperatorDefinition("StringSplit", since: 20) { decoder in
        try decoder.requireInputs(1...1)
        let most = try decoder.optionalInt("maxsplit")
        guard most ?? 0 >= -1 else { throw TensorError("attribute maxsplit should be 0 or more, found \(most ?? 0)") }
        return StringSplit(delimiter: try decoder.string("delimiter", default: ""), most: most == -1 ? nil : most)
    }
}

/// StringNormalizer-10: texts without some words, in upper or lower case.
struct StringNormalizer: Operator {
    enum Change: String { case none = "NONE", lower = "LOWER", upper = "UPPER" }

    let change: Change
    let isCaseSensitive: Bool
    /// Words that are left out, in UTF-8, as one in another normal form of Unicode is another word; in lower case where case doesn't matter.
    let stopwords: Set<[UInt8]>

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape = try inputs[0].shape, shape.rank != 1, shape.rank != 2 || shape[0] != 1 {
            throw TensorError("expected texts of shape [C] or [1, C], found \(shape)")
        }
        return [Fact(dtype: .string)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        var kept = try x.texts().filter { !stopwords.contains(Array((isCaseSensitive ? $0 : $0.lowercased()).utf8)) }
        switch change {
        case .none: break
        case .lower: kept = kept.map { $0.lowercased() }
        case .upper: kept = kept.map { $0.uppercased() }
        }
        // Where nothing is left, one empty text is.
        if kept.isEmpty { kept = [""] }
        let shape = try Shape(x.shape.rank == 2 ? [1, kept.count] : [kept.count])
        context.setOutput(0, .tensor(try Tensor(strings: kept, shape: shape)))
    }

    static let definition = OperatorDefinition("StringNormalizer", since: 10) { decoder in
        try decoder.requireInputs(1...1)
        let name = try decoder.string("case_change_action", default: "NONE")
        guard let change = Change(rawValue: name) else {
            throw TensorError("attribute case_change_action should be NONE, LOWER or UPPER, found \"\(name)\"")
        }
        // Upper and lower case are Unicode's, which no locale changes.
        decoder.ignore("locale")
        let isCaseSensitive = try decoder.bool("is_case_sensitive", default: false)
        let words = try decoder.optionalStrings("stopwords") ?? []
        return StringNormalizer(
            change: change, isCaseSensitive: isCaseSensitive,
            stopwords: Set(words.map { Array((isCaseSensitive ? $0 : $0.lowercased()).utf8) }))
    }
}
