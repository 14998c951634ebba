import GraphRuntime

/// Tokenizer (com.microsoft, 1), as skl2onnx writes it for text pipelines: the tokens of each text, along a new last axis, which is filled
/// up to the longest row.
///
/// Input: texts of shape [C] or [N, C]. Output: [C, D] or [N, C, D], where D is the largest number of tokens of a text.
struct Tokenizer: Operator {
    enum Rule: Sendable {
        /// Each scalar is a token.
        case scalars
        /// What lies between the matches of the expressions, one expression after the other.
        case separators([RegularExpression])
        /// What the expression matches.
        case tokens(RegularExpression)
    }

    let rule: Rule
    /// Whether each row begins and ends with a mark of its own.
    let hasMarks: Bool
    /// What fills rows up.
    let padding: String
    /// Tokens of fewer scalars are left out.
    let fewestScalars: Int

    private static let (startMark, endMark) = ("\u{2}", "\u{3}")

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape = try inputs[0].shape { try Self.check(shape) }
        return [Fact(dtype: .string)]
    }

    private static func check(_ shape: Shape) throws(TensorError) {
        guard shape.rank == 1 || shape.rank == 2 else {
            throw TensorError("expected texts of shape [C] or [N, C], found \(shape)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try Self.check(x.shape)
        var rows = try x.texts().map { text in
            try Task.checkCancellation()
            return try tokens(Array(text.unicodeScalars)).map(\.text)
        }
        if hasMarks, rows.contains(where: { !$0.isEmpty }) { rows = rows.map { [Self.startMark] + $0 + [Self.endMark] } }
        let (filled, width) = try filled(rows, with: padding)
        // ONNX Runtime's shape of no texts has no axis of tokens.
        let shape = try Shape(x.shape.count == 0 ? x.shape.dimensions : x.shape.dimensions + [width])
        context.setOutput(0, .tensor(try Tensor(strings: filled, shape: shape)))
    }

    private func tokens(_ text: [Unicode.Scalar]) throws -> [ArraySlice<Unicode.Scalar>] {
        switch rule {
        case .scalars: return text.indices.map { text[$0...$0] }
        case .tokens(let expression):
            return try expression.matches(in: text[...]).map { text[$0] }.filter { $0.count >= fewestScalars }
        case .separators(let expressions):
            return try expressions.reduce([text[...]]) { parts, expression in
                try parts.flatMap { try split($0, expression) }
            }
        }
    }

    /// A match of no length separates too, and takes the scalar behind it with it.
    private func split(
        _ text: ArraySlice<Unicode.Scalar>, _ separator: RegularExpression
    ) throws -> [ArraySlice<Unicode.Scalar>] {
        var result: [ArraySlice<Unicode.Scalar>] = []
        var start = text.startIndex
        for match in try separator.matches(in: text) {
            result.append(text[start..<match.lowerBound])
            start = match.isEmpty ? min(match.lowerBound + 1, text.endIndex) : match.upperBound
        }
        result.append(text[start...])
        return result.filter { $0.count >= fewestScalars }
    }

    static let definition = OperatorDefinition("Tokenizer", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(1...1)
        let fewest = try decoder.requiredInt("mincharnum")
        guard fewest > 0 else { throw TensorError("attribute mincharnum should be 1 or more, found \(fewest)") }
        guard let padding = try decoder.optionalString("pad_value") else {
            throw TensorError("attribute pad_value is missing")
        }
        let rule = try rule(
            separators: decoder.optionalStrings("separators") ?? [], token: decoder.string("tokenexp", default: ""))
        if case .scalars = rule, fewest > 1 {
            throw TensorError("attribute mincharnum should be 1 where each character is a token, found \(fewest)")
        }
        return Tokenizer(
            rule: rule, hasMarks: try decoder.requiredInt("mark") != 0, padding: padding, fewestScalars: fewest)
    }

    private static func rule(separators: [String], token: String) throws(TensorError) -> Rule {
        if separators == [""] { return .scalars }
        if !separators.isEmpty {
            var expressions: [RegularExpression] = []
            for separator in separators { expressions.append(try RegularExpression(separator, attribute: "separators")) }
            return .separators(expressions)
        }
        guard !token.isEmpty else { throw TensorError("expected attribute separators or tokenexp, found neither") }
        // By itself, the full stop is every character in ONNX Runtime, line ends too.
        if token == "." { return .scalars }
        return .tokens(try RegularExpression(token, attribute: "tokenexp"))
    }
}

extension Sequence<Unicode.Scalar> {
    fileprivate var text: String {
        var scalars = String.UnicodeScalarView()
        scalars.append(contentsOf: self)
        return String(scalars)
    }
}
