import Ops

/// Alphas of modules by regular expressions of their names, or of their ends from a dot on: the first that matches counts, in the file's
/// order (`get_pattern_key` of PEFT).
struct AlphaPatterns {
    private enum Pattern {
        /// A name or its end, in which a dot stands for any character.
        case name([UInt8])
        case expression(RegularExpression)
        case unreadable(reason: String)

        func matches(_ module: String) throws -> Bool {
            switch self {
            case .name(let end): AlphaPatterns.ends(Array(module.utf8), with: end)
            case .expression(let expression): try expression.matches(module)
            case .unreadable: true
            }
        }
    }

    private var patterns: [(key: String, pattern: Pattern, alpha: Double)] = []

    /// Steps that all expressions of a file may have together.
    private static let mostSteps = 5000

    init() {}

    /// - Parameters:
    ///   - alphas: by their keys.
    ///   - order: the keys in the file's order.
    init(_ alphas: [String: Double], order: [String]) {
        var steps = 0
        for key in order {
            guard let alpha = alphas[key] else { continue }
            patterns.append((key, Self.pattern(key, &steps), alpha))
        }
    }

    /// - Parameter steps: of the expressions so far.
    private static func pattern(_ key: String, _ steps: inout Int) -> Pattern {
        let isPlain = key.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
        if isPlain { return .name(Array(key.utf8)) }
        guard steps <= mostSteps else { return .unreadable(reason: "the expressions are too large") }
        do {
            let expression = try RegularExpression("(.*\\.)?(\(key))")
            steps += expression.stepCount
            return steps <= mostSteps ? .expression(expression) : .unreadable(reason: "the expressions are too large")
        } catch {
            return .unreadable(reason: "\(error)")
        }
    }

    /// - Throws: ``SafetensorsFile/FormatError`` where a pattern before the first one that matches can't be read, `CancellationError` where
    ///   the task is cancelled.
    func alpha(of module: String) throws -> Double? {
        try Task.checkCancellation()
        guard let found = try patterns.first(where: { try $0.pattern.matches(module) }) else { return nil }
        if case .unreadable(let reason) = found.pattern {
            throw SafetensorsFile.FormatError(
                reason: "its alpha_pattern has the key \"\(found.key.shortened(to: 160))\", which can't be read: \(reason)")
        }
        return found.alpha
    }

    private static func ends(_ name: [UInt8], with end: [UInt8]) -> Bool {
        let dot = UInt8(ascii: ".")
        let start = name.count - end.count
        guard start >= 0, start == 0 || name[start - 1] == dot else { return false }
        return end.indices.reversed().allSatisfy { end[$0] == name[start + $0] || end[$0] == dot }
    }
}
