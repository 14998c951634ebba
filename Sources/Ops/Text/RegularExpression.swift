import GraphRuntime

/// A regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), without references to what groups have matched, as
/// there: a match of a text takes time proportional to its length, by all ways through the expression at once (Thompson, "Regular
/// Expression Search Algorithm", 1968). Many short matches that could each have become a long one take as much each.
package struct RegularExpression: Sendable {
    /// What holds between two scalars of a text.
    enum Assertion: Sendable {
        case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary
    }

    private enum Step: Sendable {
        case scalar(ScalarSet)
        case assertion(Assertion)
        /// To the next step and to another one.
        case split(Int)
        case jump(Int)
        case match
    }

    private var steps: [Step] = []

    /// What a match may have to look at for each character of a text.
    package var stepCount: Int { steps.count }

    private static let mostSteps = 100_000

    /// - Throws: ``TensorError`` with what is wrong with the expression.
    package init(_ pattern: String) throws(TensorError) {
        var parser = RegularExpressionParser(pattern)
        try add(try parser.parse())
        try append(.match)
    }

    /// An expression that an attribute states.
    init(_ pattern: String, attribute: String) throws(TensorError) {
        do { self = try RegularExpression(pattern) } catch {
            let name = pattern.shortened(to: String.longestName)
            throw TensorError("attribute \(attribute) \"\(name)\" isn't a regular expression: \(error)")
        }
    }

    private mutating func append(_ step: Step) throws(TensorError) {
        guard steps.count < Self.mostSteps else { throw TensorError("the expression is too large") }
        steps.append(step)
    }

    private mutating func add(_ node: RegularExpressionNode) throws(TensorError) {
        switch node {
        case .scalar(let set): try append(.scalar(set))
        case .assertion(let assertion): try append(.assertion(assertion))
        case .sequence(let nodes): for node in nodes { try add(node) }
        case .either(let nodes):
            var jumps: [Int] = []
            for node in nodes.dropLast() {
                let split = steps.count
                try append(.split(0))
                try add(node)
                jumps.append(steps.count)
                try append(.jump(0))
                steps[split] = .split(steps.count)
            }
            if let last = nodes.last { try add(last) }
            for jump in jumps { steps[jump] = .jump(steps.count) }
        case .repeated(let node, let least, let most):
            for _ in 0..<least {
                let count = steps.count
                try add(node)
                // What adds no step never does; such repetitions within each other would take forever.
                if steps.count == count { break }
            }
            guard let most else {
                let split = steps.count
                try append(.split(0))
                try add(node)
                try append(.jump(split))
                steps[split] = .split(steps.count)
                return
            }
            var splits: [Int] = []
            for _ in least..<most {
                splits.append(steps.count)
                try append(.split(0))
                try add(node)
            }
            for split in splits { steps[split] = .split(steps.count) }
        }
    }

    /// Whether the expression matches the whole text.
    ///
    /// - Throws: `CancellationError` where the task is cancelled.
    package func matches(_ text: String) throws -> Bool {
        let scalars = text.unicodeScalars
        var current = StateSet(count: steps.count)
        var next = StateSet(count: steps.count)
        var before: Unicode.Scalar?
        var index = scalars.startIndex
        var work = 0
        var pending = [0]
        while true {
            let after = index < scalars.endIndex ? scalars[index] : nil
            let isMatched = follow(&pending, before, after, into: &current)
            guard let after else { return isMatched }
            for state in current.members {
                if case .scalar(let set) = steps[state], set.contains(after) { pending.append(state + 1) }
            }
            work += current.members.count
            if work > 1 << 20 {
                try Task.checkCancellation()
                work = 0
            }
            if pending.isEmpty { return false }
            swap(&current, &next)
            current.removeAll()
            before = after
            index = scalars.index(after: index)
        }
    }

    /// Where the expression matches parts of a text: of all parts the one that begins first, and of those that begin there the longest one;
    /// then behind it in the same way, or behind the next scalar where it is empty.
    ///
    /// - Throws: `CancellationError` where the task is cancelled.
    func matches(in text: ArraySlice<Unicode.Scalar>) throws -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start = text.startIndex
        var search = Search(stateCount: steps.count)
        while let match = try firstMatch(in: text, from: start, &search) {
            result.append(match)
            start = match.isEmpty ? match.upperBound + 1 : match.upperBound
            if start > text.endIndex { break }
        }
        return result
    }

    /// What one search after the other works with.
    private struct Search {
        var current: StateSet
        /// Where the matches of the current states begin.
        var begins: [Int] = []
        var pending: [Int] = []
        var reached: [(state: Int, begin: Int)] = []
        /// States since the last look at whether the task is cancelled.
        var work = 0

        init(stateCount: Int) { current = StateSet(count: stateCount) }
    }

    private func firstMatch(
        in text: ArraySlice<Unicode.Scalar>, from start: Int, _ search: inout Search
    ) throws -> Range<Int>? {
        var found: Range<Int>?
        search.reached.removeAll(keepingCapacity: true)
        for index in start...text.endIndex {
            let before = index > text.startIndex ? text[index - 1] : nil
            let after = index < text.endIndex ? text[index] : nil
            search.current.removeAll()
            search.begins.removeAll(keepingCapacity: true)
            // In the order of where their matches begin, so that of two ways to a state the one that began first gets there first.
            if found == nil { search.reached.append((0, index)) }
            for (state, begin) in search.reached {
                if let found, begin > found.lowerBound { break }
                search.pending.append(state)
                if follow(&search.pending, before, after, into: &search.current) { found = begin..<index }
                search.begins += repeatElement(begin, count: search.current.members.count - search.begins.count)
            }
            search.reached.removeAll(keepingCapacity: true)
            guard let after else { break }
            for (state, begin) in zip(search.current.members, search.begins) where begin <= found?.lowerBound ?? begin {
                if case .scalar(let set) = steps[state], set.contains(after) { search.reached.append((state + 1, begin)) }
            }
            if found != nil, search.reached.isEmpty { break }
            search.work += search.current.members.count + 1
            if search.work > 1 << 20 {
                try Task.checkCancellation()
                search.work = 0
            }
        }
        return found
    }

    /// Collects the steps that read a scalar and that are reached from `pending` ones without reading one.
    ///
    /// - Returns: whether that is the end of the expression.
    private func follow(
        _ pending: inout [Int], _ before: Unicode.Scalar?, _ after: Unicode.Scalar?, into states: inout StateSet
    ) -> Bool {
        var isMatched = false
        while let state = pending.popLast() {
            guard states.insert(state) else { continue }
            switch steps[state] {
            case .scalar: break
            case .match: isMatched = true
            case .jump(let target): pending.append(target)
            case .split(let target): pending += [state + 1, target]
            case .assertion(let assertion): if holds(assertion, before, after) { pending.append(state + 1) }
            }
        }
        return isMatched
    }

    private func holds(_ assertion: Assertion, _ before: Unicode.Scalar?, _ after: Unicode.Scalar?) -> Bool {
        func isWord(_ scalar: Unicode.Scalar?) -> Bool { scalar.map { ScalarSet.word.contains($0) } ?? false }
        switch assertion {
        case .textStart: return before == nil
        case .textEnd: return after == nil
        case .lineStart: return before == nil || before == "\n"
        case .lineEnd: return after == nil || after == "\n"
        case .wordBoundary: return isWord(before) != isWord(after)
        case .noWordBoundary: return isWord(before) == isWord(after)
        }
    }
}

/// Steps in the order in which they were reached, each once.
private struct StateSet {
    private(set) var members: [Int] = []
    private var isMember: [Bool]

    init(count: Int) { isMember = Array(repeating: false, count: count) }

    /// - Returns: whether it wasn't there.
    mutating func insert(_ state: Int) -> Bool {
        guard !isMember[state] else { return false }
        isMember[state] = true
        members.append(state)
        return true
    }

    mutating func removeAll() {
        for state in members { isMember[state] = false }
        members.removeAll(keepingCapacity: true)
    }
}

indirect enum RegularExpressionNode: Sendable {
    case scalar(ScalarSet)
    case assertion(RegularExpression.Assertion)
    case sequence([RegularExpressionNode])
    case either([RegularExpressionNode])
    /// At least, and at most as often; nil for any number.
    case repeated(RegularExpressionNode, Int, Int?)
}
