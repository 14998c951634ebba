import ArgumentParser
import Foundation
import SDPipeline

/// A job of a batch: what one line of its file stands for.
struct BatchJob {
    /// The SHA-256 of its options, by which it is known wherever it is made.
    let id: String
    /// The first line that has it, from 1.
    let line: Int
    /// The options of `generate`, those of all jobs included.
    let arguments: [String]
    /// Flags that the line says are off.
    let unsetFlags: [String]

    /// The seed of a job that has none of its own: the same wherever it is made, and another for every other job. Of 32 bits, so that
    /// every other program takes it too.
    var seed: Seed { Seed(value: UInt64(id.prefix(8), radix: 16) ?? 0) }
    /// As ``seed``, for variations.
    var variationSeed: Seed { Seed(value: UInt64(id.dropFirst(8).prefix(8), radix: 16) ?? 0) }

    /// The different jobs, in the order of their first lines.
    ///
    /// - Parameter options: those of all jobs.
    static func all(of lines: [PromptLines.Line], options: [String]) -> [BatchJob] {
        var known: Set<String> = []
        return lines.compactMap { line in
            let arguments = options + line.arguments
            // A zero ends each argument, as none has one inside.
            let text = (arguments + line.unsetFlags.map { "no \($0)" }).map { $0 + "\0" }.joined()
            let id = SHA256.hexadecimal(of: Array(text.utf8))
            guard known.insert(id).inserted else { return nil }
            return BatchJob(id: id, line: line.number, arguments: arguments, unsetFlags: line.unsetFlags)
        }
    }
}

/// One of several parts of a batch.
struct BatchShard: CustomStringConvertible, Equatable {
    /// From 1.
    let number: Int
    let count: Int

    static let whole = BatchShard(number: 1, count: 1)

    var description: String { "\(number)/\(count)" }

    private init(number: Int, count: Int) { (self.number, self.count) = (number, count) }

    /// - Throws: `OptionValues.Expectation` for anything but I/N with I from 1 to N.
    init(_ text: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], (1...1_000_000).contains(count),
            (1...count).contains(number)
        else { throw OptionValues.Expectation(description: "expected I/N with I from 1 to N, such as 2/8.") }
        (self.number, self.count) = (number, count)
    }

    /// Every N-th of some jobs, so that neighbours, which often take as long as each other, are spread over all parts.
    func part(of jobs: [BatchJob]) -> [BatchJob] {
        jobs.enumerated().filter { $0.offset % count == number - 1 }.map(\.element)
    }
}
