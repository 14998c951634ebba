import GraphRuntime

/// Reads RE2's syntax. Whether a repetition prefers few or many makes no difference to whether a whole text matches.
struct RegularExpressionParser {
    private struct Flags {
        var foldsCase = false
        var isMultiline = false
        var dotMatchesNewline = false
    }

    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var flags = Flags()
    private var depth = 0

    /// Groups within each other, which are parsed on the stack.
    private static let mostNested = 250
    private static let mostRepeated = 1000

    init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

    /// - Throws: ``TensorError`` with what is wrong with the expression.
    mutating func parse() throws(TensorError) -> RegularExpressionNode {
        let result = try alternatives()
        guard place == scalars.count else { throw TensorError("a parenthesis is closed that isn't open") }
        return result
    }

    private var current: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    /// Goes behind a text if that is next.
    private mutating func skips(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[place...].starts(with: wanted) else { return false }
        place += wanted.count
        return true
    }

    private mutating func next() throws(TensorError) -> Unicode.Scalar {
        guard let scalar = current else { throw TensorError("the expression ends too early") }
        place += 1
        return scalar
    }

    private mutating func alternatives() throws(TensorError) -> RegularExpressionNode {
        var result = [try sequence()]
        while skips("|") { result.append(try sequence()) }
        return result.count == 1 ? result[0] : .either(result)
    }

    private mutating func sequence() throws(TensorError) -> RegularExpressionNode {
        var result: [RegularExpressionNode] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            if skips("\\Q") {
                while place < scalars.count, !skips("\\E") { result.append(literal(try next())) }
                // What follows repeats the last of them.
                if let last = result.popLast() { result.append(try repeated(last)) }
                continue
            }
            guard let node = try atom() else { continue }
            result.append(try repeated(node))
        }
        return .sequence(result)
    }

    private func literal(_ scalar: Unicode.Scalar) -> RegularExpressionNode {
        .scalar(ScalarSet(scalar, foldsCase: flags.foldsCase))
    }

    private mutating func repeated(_ node: RegularExpressionNode) throws(TensorError) -> RegularExpressionNode {
        guard let (least, most) = try repetition() else { return node }
        _ = skips("?")
        guard try repetition() == nil else { throw TensorError("a repetition is repeated") }
        return .repeated(node, least, most)
    }

    /// How often what is before it is repeated; nil where no repetition is next.
    private mutating func repetition() throws(TensorError) -> (Int, Int?)? {
        if skips("*") { return (0, nil) }
        if skips("+") { return (1, nil) }
        if skips("?") { return (0, 1) }
        let start = place
        guard skips("{"), let least = number() else {
            place = start
            return nil
        }
        var most: Int? = least
        if skips(",") { most = current == "}" ? nil : number() ?? -1 }
        guard most != -1, skips("}") else {
            // A brace as it is.
            place = start
            return nil
        }
        guard least <= Self.mostRepeated, (most ?? 0) <= Self.mostRepeated, least <= most ?? least else {
            throw TensorError("the repetition \(String(String.UnicodeScalarView(scalars[start..<place]))) is out of range")
        }
        return (least, most)
    }

    /// Digits that are next, as a number of at most a million.
    private mutating func number() -> Int? {
        var result: Int?
        while let digit = current, ("0"..."9").contains(digit) {
            result = min(10 * (result ?? 0) + Int(digit.value - 48), 1_000_000)
            place += 1
        }
        return result
    }

    /// One item of a sequence; nil for one that matches nothing, such as flags.
    private mutating func atom() throws(TensorError) -> RegularExpressionNode? {
        if try repetition() != nil { throw TensorError("there is nothing to repeat") }
        let scalar = try next()
        switch scalar {
        case "(": return try group()
        case "[": return .scalar(try bracket())
        case ".": return .scalar(flags.dotMatchesNewline ? .any : .notNewline)
        case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
        case "\\":
            if skips("A") { return .assertion(.textStart) }
            if skips("z") { return .assertion(.textEnd) }
            if skips("b") { return .assertion(.wordBoundary) }
            if skips("B") { return .assertion(.noWordBoundary) }
            if let set = try escapedClass() { return .scalar(set) }
            return literal(try escapedScalar())
        default: return literal(scalar)
        }
    }

    private mutating func group() throws(TensorError) -> RegularExpressionNode? {
        let outer = flags
        if skips("?") {
            if skips("P<") || skips("<") {
                var name = 0
                while let scalar = current, scalar != ">" {
                    guard ScalarSet.word.contains(scalar) else { throw TensorError("a group has a wrong name") }
                    (name, place) = (name + 1, place + 1)
                }
                guard name > 0, skips(">") else { throw TensorError("a group has a wrong name") }
            } else if try !flagsOpenGroup() {
                return nil
            }
        }
        depth += 1
        guard depth <= Self.mostNested else { throw TensorError("groups are nested more than \(Self.mostNested) times") }
        let result = try alternatives()
        depth -= 1
        guard skips(")") else { throw TensorError("a parenthesis isn't closed") }
        flags = outer
        return result
    }

    /// Reads flags, after `(?`.
    ///
    /// - Returns: whether they hold for the group that follows, and not for the rest of the one around.
    private mutating func flagsOpenGroup() throws(TensorError) -> Bool {
        var value = true
        while true {
            let scalar = try next()
            switch scalar {
            case "i": flags.foldsCase = value
            case "m": flags.isMultiline = value
            case "s": flags.dotMatchesNewline = value
            // Which number of repetitions is preferred.
            case "U": break
            case "-" where value: value = false
            case ":": return true
            case ")": return false
            default: throw TensorError("groups that begin with (?\(scalar) aren't supported")
            }
        }
    }

    /// A class that a letter stands for, after a backslash; nil where none is next.
    private mutating func escapedClass() throws(TensorError) -> ScalarSet? {
        if skips("d") { return .digit }
        if skips("D") { return ScalarSet([.inverted(.digit)]) }
        if skips("s") { return .space }
        if skips("S") { return ScalarSet([.inverted(.space)]) }
        if skips("w") { return .word }
        if skips("W") { return ScalarSet([.inverted(.word)]) }
        var isInverted = false
        if skips("P") { isInverted = true } else if !skips("p") { return nil }
        var name = String(Character(try next()))
        if name == "{" {
            name = ""
            while !skips("}") { name.unicodeScalars.append(try next()) }
        }
        if name.hasPrefix("^") {
            name.removeFirst()
            isInverted.toggle()
        }
        let part: ScalarSet.Part
        if name == "Any" {
            part = .inverted(ScalarSet([]))
        } else if ScalarSet.categories.contains(name) {
            part = .category(name)
        } else if ScalarSet.isScript(name) {
            part = .script(name)
        } else {
            throw TensorError("the class \\p{\(name)} isn't known")
        }
        return ScalarSet(isInverted ? [.inverted(ScalarSet([part]))] : [part])
    }

    private static let controls: [Unicode.Scalar: Unicode.Scalar] = [
        "a": "\u{7}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t", "v": "\u{B}",
    ]

    /// A scalar, after a backslash.
    private mutating func escapedScalar() throws(TensorError) -> Unicode.Scalar {
        let scalar = try next()
        if let control = Self.controls[scalar] { return control }
        if scalar == "x" {
            var digits = ""
            if skips("{") {
                while !skips("}") { digits.unicodeScalars.append(try next()) }
            } else {
                digits.unicodeScalars += [try next(), try next()]
            }
            guard digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16), let result = Unicode.Scalar(value)
            else {
                throw TensorError("\\x{\(digits)} isn't a scalar of Unicode")
            }
            return result
        }
        if ("0"..."7").contains(scalar) {
            var value = scalar.value - 48
            var count = 1
            while count < 3, let digit = current, ("0"..."7").contains(digit) {
                value = 8 * value + digit.value - 48
                (count, place) = (count + 1, place + 1)
            }
            // One digit other than 0 refers to a group.
            if count > 1 || value == 0, let result = Unicode.Scalar(value) { return result }
        }
        let isAlphanumeric = ScalarSet.named["alnum"]?.contains(scalar) ?? false
        guard scalar.isASCII, !isAlphanumeric else { throw TensorError("\\\(scalar) isn't supported") }
        return scalar
    }

    /// A class in brackets, after the first of them.
    private mutating func bracket() throws(TensorError) -> ScalarSet {
        var result = ScalarSet([], isInverted: skips("^"), foldsCase: flags.foldsCase)
        var isFirst = true
        while isFirst || current != "]" {
            isFirst = false
            if skips("[:") {
                let isInverted = skips("^")
                var name = ""
                while !skips(":]") { name.unicodeScalars.append(try next()) }
                guard let set = ScalarSet.named[name] else { throw TensorError("the class [:\(name):] isn't known") }
                result.parts += isInverted ? [.inverted(set)] : set.parts
                continue
            }
            if skips("\\") {
                if let set = try escapedClass() {
                    result.parts += set.parts
                    continue
                }
                place -= 1
            }
            let first = try bracketScalar()
            var last = first
            // A minus before the closing bracket is one.
            if current == "-", place + 1 < scalars.count, scalars[place + 1] != "]" {
                place += 1
                last = try bracketScalar()
            }
            guard first <= last else { throw TensorError("the range \(first)-\(last) is empty") }
            result.parts += ScalarSet.range(first.value...last.value, foldsCase: flags.foldsCase)
        }
        place += 1
        return result
    }

    private mutating func bracketScalar() throws(TensorError) -> Unicode.Scalar {
        if skips("\\") { return try escapedScalar() }
        guard current != nil else { throw TensorError("a bracket isn't closed") }
        return try next()
    }
}
