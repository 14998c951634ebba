import GraphRuntime

/// RegexFullMatch-20: whether a regular expression matches the whole text.
struct RegexFullMatch: Operator {
    let pattern: String

    private static let mostClasses = 500

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .bool, shape: try inputs[0].shape)] }

    private static func expression(_ pattern: String) throws(TensorError) -> Regex<AnyRegexOutput> {
        // The library's parser descends into each of them, on the stack.
        guard pattern.utf8.count(where: { $0 == UInt8(ascii: "[") }) <= mostClasses else {
            throw TensorError("attribute pattern has more than \(mostClasses) brackets \"[\"")
        }
        // As RE2, with backtracking where that has none: scalar by scalar, words end where \w does, and such classes are of ASCII.
        do {
            return try Regex(pattern).matchingSemantics(.unicodeScalar).wordBoundaryKind(.simple)
                .asciiOnlyCharacterClasses()
        } catch {
            throw TensorError("attribute pattern \"\(pattern.shortened(to: String.longestName))\" isn't a regular expression")
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let expression = try Self.expression(pattern)
        let matches = try x.texts().map { text in
            try Task.checkCancellation()
            return try expression.wholeMatch(in: text) != nil
        }
        try context.output(0).copy(from: Tensor(matches, shape: x.shape))
    }

    static let definition = OperatorDefinition("RegexFullMatch", since: 20) { decoder in
        try decoder.requireInputs(1...1)
        guard let pattern = try decoder.optionalString("pattern") else { throw TensorError("attribute pattern is missing") }
        _ = try expression(pattern)
        return RegexFullMatch(pattern: pattern)
    }
}
