import Foundation

/// A text with places that change over the steps: editing (`[from:to:when]`, `[to:when]`, `[from::when]`) and alternation (`[a|b]`), in the
/// grammar of AUTOMATIC1111's web interface. All other brackets stay in its texts, for ``PromptEmphasis``.
///
/// A bracket that is neither, such as one that isn't closed, is text, and so are those around it; what is inside it counts all the same.
/// As there, nothing of a text changes that has a bar outside of an alternation, or a backslash at its end.
struct PromptTemplate: Sendable {
    /// The most brackets inside one another.
    static let deepest = 500
    /// The most characters of all texts of a run together.
    private static let mostCharacters = 50_000_000

    private enum Item {
        /// A part of the source.
        case text(Range<Int>)
        case edit(from: [Item], to: [Item], when: When)
        case alternation([[Item]])
        /// A colon or a bar of a bracket that isn't closed so far, by its place in the source.
        case separator(Int)
    }

    /// The step after which an edit takes place.
    private struct When {
        let value: Double
        /// Whether it is a share of all steps, as a number with a decimal point is.
        let isShare: Bool

        /// - Parameter earlier: steps of the pass before, which take the shares up to 1; 0 for a first pass.
        func step(of total: Int, after earlier: Int) -> Int {
            let step = isShare ? (value - (earlier > 0 ? 1 : 0)) * Double(total) : value - Double(earlier)
            return step >= Double(total) ? total : Int(max(step, 0))
        }
    }

    private struct Bracket {
        let opening: Unicode.Scalar
        /// Its place among the items.
        let start: Int
        /// Places among the items.
        var colons: [Int] = []
        var bars: [Int] = []
    }

    private let source: [Unicode.Scalar]
    private var items: [Item] = []
    private var brackets: [Bracket] = []
    private var edits: [When] = []
    private var hasAlternation = false
    private var isLiteral = false

    /// - Throws: ``PipelineError`` where more than ``deepest`` brackets are inside one another.
    init(_ text: String) throws {
        source = Array(text.unicodeScalars)
        var position = 0
        while position < source.count {
            let place = position..<position + 1
            position += 1
            switch source[place.lowerBound] {
            case "\\":
                // As `\\.` there: neither at the end nor before the end of a line.
                guard position < source.count, source[position] != "\n" else {
                    isLiteral = true
                    continue
                }
                items.append(.text(place.lowerBound..<position + 1))
                position += 1
            case "(", "[":
                brackets.append(Bracket(opening: source[place.lowerBound], start: items.count))
                items.append(.text(place))
                guard brackets.count <= Self.deepest else {
                    throw PipelineError(
                        "The prompt has more than \(Self.deepest) brackets inside one another, expected at most as many.",
                        kind: .invalidRequest)
                }
            case ":":
                if !brackets.isEmpty { brackets[brackets.count - 1].colons.append(items.count) }
                items.append(brackets.isEmpty ? .text(place) : .separator(place.lowerBound))
            case "|":
                if brackets.isEmpty { isLiteral = true } else { brackets[brackets.count - 1].bars.append(items.count) }
                items.append(brackets.isEmpty ? .text(place) : .separator(place.lowerBound))
            case ")": close("(", at: place)
            case "]": close("[", at: place)
            default:
                while position < source.count, !"\\()[]:|".unicodeScalars.contains(source[position]) { position += 1 }
                items.append(.text(place.lowerBound..<position))
            }
        }
        giveUpBrackets()
    }

    private mutating func close(_ opening: Unicode.Scalar, at place: Range<Int>) {
        guard let bracket = brackets.last, bracket.opening == opening else {
            giveUpBrackets()
            return items.append(.text(place))
        }
        let isClosed =
            opening == "(" ? bracket.bars.isEmpty && bracket.colons.count <= 1 : bracket.bars.isEmpty && bracket.colons.isEmpty
        if isClosed {
            brackets.removeLast()
            for index in bracket.colons { makeText(index) }
            items.append(.text(place))
        } else if opening == "[", let item = changing(bracket) {
            brackets.removeLast()
            items.removeSubrange(bracket.start...)
            items.append(item)
        } else {
            giveUpBrackets()
            items.append(.text(place))
        }
    }

    /// What a square bracket with separators stands for; nil for text.
    private mutating func changing(_ bracket: Bracket) -> Item? {
        func part(_ start: Int, _ end: Int) -> [Item] { items[start + 1..<end].map(withoutSeparator) }
        if bracket.colons.isEmpty {
            hasAlternation = true
            let ends = bracket.bars + [items.count]
            return .alternation(zip([bracket.start] + bracket.bars, ends).map(part))
        }
        guard bracket.colons.count <= 2, let last = bracket.colons.last, let when = number(items[(last + 1)...]) else {
            return nil
        }
        edits.append(when)
        return bracket.colons.count == 2
            ? .edit(from: part(bracket.start, bracket.colons[0]), to: part(bracket.colons[0], last), when: when)
            : .edit(from: [], to: part(bracket.start, last), when: when)
    }

    private func withoutSeparator(_ item: Item) -> Item {
        if case .separator(let place) = item { .text(place..<place + 1) } else { item }
    }

    private mutating func makeText(_ index: Int) { items[index] = withoutSeparator(items[index]) }

    /// Brackets that can't be closed any more are text.
    private mutating func giveUpBrackets() {
        for bracket in brackets {
            if !bracket.bars.isEmpty { isLiteral = true }
            for index in bracket.colons + bracket.bars { makeText(index) }
        }
        brackets.removeAll()
    }

    /// A number between blanks: digits, perhaps with a sign, a decimal point and an exponent.
    private func number(_ items: ArraySlice<Item>) -> When? {
        guard items.count == 1, case .text(let place)? = items.first else { return nil }
        let text = String(String.UnicodeScalarView(source[place])).trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.wholeMatch(of: /[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/) != nil, let value = Double(text) else {
            return nil
        }
        return When(value: value, isShare: text.contains("."))
    }

    /// The texts over a run of so many steps, each with the step that it is the last for; the last one's is `steps`.
    ///
    /// - Parameters:
    ///   - steps: 1 or more.
    ///   - earlier: steps of the pass before; 0 for a first pass.
    /// - Throws: ``PipelineError`` where the texts are more than 50 million characters together.
    func schedule(steps: Int, after earlier: Int = 0) throws -> [(lastStep: Int, text: String)] {
        guard !isLiteral, hasAlternation || !edits.isEmpty else { return [(steps, String(String.UnicodeScalarView(source)))] }
        let (characters, overflow) = steps.multipliedReportingOverflow(by: source.count)
        guard !hasAlternation || !overflow && characters <= Self.mostCharacters else { throw Self.tooLong(steps, source.count) }
        let ends =
            hasAlternation
            ? Array(1...steps) : Set(edits.map { $0.step(of: steps, after: earlier) }.filter { $0 >= 1 } + [steps]).sorted()
        guard ends.count * source.count <= Self.mostCharacters else { throw Self.tooLong(ends.count, source.count) }
        return ends.map { end in
            var text = String.UnicodeScalarView()
            write(items, step: end, of: (steps, earlier), to: &text)
            return (end, String(text))
        }
    }

    private static func tooLong(_ texts: Int, _ characters: Int) -> PipelineError {
        PipelineError(
            "The prompt becomes \(texts) texts of up to \(characters) characters over the steps, expected 50 million characters at most.",
            kind: .invalidRequest)
    }

    /// At most as deep as ``deepest``.
    private func write(_ items: [Item], step: Int, of steps: (own: Int, earlier: Int), to text: inout String.UnicodeScalarView)
    {
        for item in items {
            switch item {
            case .text(let place): text.append(contentsOf: source[place])
            case .separator(let place): text.append(source[place])
            case .edit(let from, let to, let when):
                write(step <= when.step(of: steps.own, after: steps.earlier) ? from : to, step: step, of: steps, to: &text)
            case .alternation(let parts): write(parts[(step - 1) % parts.count], step: step, of: steps, to: &text)
            }
        }
    }
}
