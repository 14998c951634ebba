/// How much the parts of a text count, in the grammar of AUTOMATIC1111's web interface: `(word)` 1.1 times as much, `[word]` 1.1 times less,
/// `(word:1.2)` as much as the number says, each in one another as the product; `\(`, `\)`, `\[`, `\]` and `\\` stand for the character.
/// A bracket that isn't closed counts to the end of the text, and a closing bracket that none was opened for is text.
enum PromptEmphasis {
    /// What a pair of brackets multiplies by.
    private static let step = 1.1

    /// The parts of a text, neighbours of one weight joined.
    ///
    /// - Throws: ``PipelineError`` where a weight isn't a number that single precision holds, or where more than
    ///   ``PromptTemplate/deepest`` brackets are inside one another.
    static func pieces(of text: String) throws -> [ParsedPrompt.Piece] {
        var reader = Reader(source: Array(text.unicodeScalars))
        try reader.read()
        return try joined(reader.pieces)
    }

    private static func joined(_ parts: [(text: String, weight: Double, isBreak: Bool)]) throws -> [ParsedPrompt.Piece] {
        var pieces: [ParsedPrompt.Piece] = []
        for part in parts {
            guard Float(part.weight).isFinite else {
                throw PipelineError(
                    "The prompt's \"\(part.text.shortened(to: 40))\" has the weight \(part.weight), expected a number that single precision holds.",
                    kind: .invalidRequest)
            }
            if part.isBreak {
                pieces.append(ParsedPrompt.Piece(text: "BREAK", weight: 1, isBreak: true))
            } else if let last = pieces.last, !last.isBreak, last.weight == part.weight {
                pieces[pieces.count - 1].text += part.text
            } else {
                pieces.append(ParsedPrompt.Piece(text: part.text, weight: part.weight, isBreak: false))
            }
        }
        return pieces.isEmpty ? [ParsedPrompt.Piece(text: "", weight: 1, isBreak: false)] : pieces
    }

    private struct Reader {
        let source: [Unicode.Scalar]
        var pieces: [(text: String, weight: Double, isBreak: Bool)] = []
        /// Where brackets were opened, among the pieces.
        var round: [Int] = []
        var square: [Int] = []

        mutating func read() throws {
            var position = 0
            while position < source.count {
                let character = source[position]
                switch character {
                case "\\":
                    let next = position + 1 < source.count ? source[position + 1] : nil
                    let isEscape = next.map { "()[]\\".unicodeScalars.contains($0) } ?? false
                    add(isEscape ? source[position + 1..<position + 2] : [])
                    position += isEscape ? 2 : 1
                    continue
                case "(": round.append(pieces.count)
                case "[": square.append(pieces.count)
                case ")" where !round.isEmpty: multiply(from: round.removeLast(), by: step)
                case "]" where !square.isEmpty: multiply(from: square.removeLast(), by: 1 / step)
                case ":":
                    if let (end, number) = weight(at: position) {
                        if let start = round.popLast() {
                            guard let value = Double(number) else {
                                throw PipelineError(
                                    "The prompt has the weight \"\(number.shortened(to: 40))\", expected a number such as 1.2.",
                                    kind: .invalidRequest)
                            }
                            multiply(from: start, by: value)
                        } else {
                            add(source[position..<end])
                        }
                        position = end
                        continue
                    }
                    add(source[position..<position + 1])
                case ")", "]": add(source[position..<position + 1])
                default:
                    var end = position
                    while end < source.count, !"\\()[]:".unicodeScalars.contains(source[end]) { end += 1 }
                    addText(position..<end)
                    position = end
                    continue
                }
                guard round.count + square.count <= PromptTemplate.deepest else {
                    throw PipelineError(
                        "The prompt has more than \(PromptTemplate.deepest) brackets inside one another, expected at most as many.",
                        kind: .invalidRequest)
                }
                position += 1
            }
            for start in round { multiply(from: start, by: step) }
            for start in square { multiply(from: start, by: 1 / step) }
        }

        private mutating func add(_ scalars: ArraySlice<Unicode.Scalar>) {
            pieces.append((String(String.UnicodeScalarView(scalars)), 1, false))
        }

        /// Text, with the breaks in it; these take the blanks around them.
        private mutating func addText(_ range: Range<Int>) {
            var start = range.lowerBound
            var position = start
            // Boundaries of words are looked for in this text alone, as there.
            let text = Array(source[range])
            while position < range.upperBound {
                guard source[position] == "B", text.hasWord("BREAK", at: position - range.lowerBound) else {
                    position += 1
                    continue
                }
                var end = position
                while end > start, source[end - 1].isBlank { end -= 1 }
                add(source[start..<end])
                pieces.append(("BREAK", 1, true))
                position += 5
                while position < range.upperBound, source[position].isBlank { position += 1 }
                start = position
            }
            add(source[start..<range.upperBound])
        }

        /// What closes a round bracket with a number: `: 1.2 )`, and where it ends.
        private func weight(at colon: Int) -> (end: Int, number: String)? {
            var position = colon + 1
            func skipBlanks(_ position: inout Int) {
                while position < source.count, source[position].isBlank { position += 1 }
            }
            skipBlanks(&position)
            let start = position
            if position < source.count, source[position] == "+" || source[position] == "-" { position += 1 }
            let digits = position
            while position < source.count, source[position] == "." || ("0"..."9").contains(source[position]) { position += 1 }
            guard position > digits else { return nil }
            let number = String(String.UnicodeScalarView(source[start..<position]))
            skipBlanks(&position)
            guard position < source.count, source[position] == ")" else { return nil }
            return (position + 1, number)
        }

        private mutating func multiply(from start: Int, by factor: Double) {
            for index in start..<pieces.count where !pieces[index].isBreak { pieces[index].weight *= factor }
        }
    }
}
