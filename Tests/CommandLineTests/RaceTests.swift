import Foundation
import TestSupport
import Testing

/// Code that would race, or reach past a tensor's end, on the library's public API: the compiler refuses it.
@Suite struct RaceTests {
    private func check(_ code: String) throws -> Program.Outcome {
        let folder = try TemporaryFolder()
        let file = """
            import GraphRuntime

            func attempt(_ pool: ThreadPool, _ tensor: Tensor, _ target: MutableTensor) throws {
                \(code)
            }
            """
        try file.write(to: folder["attempt.swift"], atomically: true, encoding: .utf8)
        let products = try Program.url().deletingLastPathComponent()
        return try Program.run(
            tool: URL(fileURLWithPath: "/usr/bin/env"),
            // Up to the passes on SIL, which decide what may be sent between threads.
            ["swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6", "attempt.swift"]
                + Program.moduleOptions(products), in: folder)
    }

    @Test(arguments: [
        ("var s = 0; pool.forEach(3_000_000) { s += $0 }", "mutation of captured var 's' in concurrently-executing code"),
        ("var s = 0; pool.forEachRange(9, grain: 1) { s += $0.count }", "mutation of captured var 's'"),
        ("var s = 0; _ = pool.map(9) { s += $0; return s }", "mutation of captured var 's'"),
        ("pool.forEach(9) { _ in try? target.fill(with: Float(1)) }", "non-Sendable type 'MutableTensor'"),
        ("Task { try target.fill(with: Float(1)) }", "risks causing data races"),
        (
            "try target.withMutableSpan(of: Float.self) { span in pool.forEach(9) { span[$0] = 1 } }",
            "inout' parameter 'span'"
        ),
        (
            """
            var kept: [Int] = []
                try target.forEachSlice(of: Float.self, grain: 1, threads: pool) { range, _ in kept.append(range.count) }
            """, "mutation of captured var 'kept'"
        ),
        (
            """
            var kept: MutableLine<Float>? = nil
                try target.forEachLine(of: Float.self, count: 1, inner: 1, grain: 1, threads: pool) { _, line in kept = line }
            """, "is consuming"
        ),
        ("_ = tensor.storage.base", "'base' is inaccessible due to 'package' protection level"),
        ("_ = try tensor.buffer(of: Float.self)", "'buffer' is inaccessible due to 'package' protection level"),
        ("_ = try tensor.pointer(to: Float.self)", "'pointer' is inaccessible due to 'package' protection level"),
        ("_ = tensor.rawBytes", "'rawBytes' is inaccessible due to 'package' protection level"),
        ("_ = target.tensor", "'tensor' is inaccessible due to 'package' protection level"),
        ("_ = try target.buffer(of: Float.self)", "'buffer' is inaccessible due to 'package' protection level"),
        ("try pool.forEach(3, scratchBytes: 8) { _, _ in }", "error:"),
    ])
    func refused(code: String, message: String) throws {
        let outcome = try check(code)
        #expect(outcome.code != 0, "this compiles: \(code)")
        #expect(outcome.messages.contains(message), "\(code): \(outcome.messages)")
    }

    /// What to write instead.
    @Test func accepted() throws {
        let outcome = try check(
            """
            let values = try tensor.view(of: Float.self)
                try target.forEachSlice(of: Float.self, grain: 1024, threads: pool) { range, slice in
                    for index in 0..<slice.count { slice[index] = 2 * values[range.lowerBound + index] }
                }
                let sums = pool.map(4) { part in values.extracting(part..<part + 1).reduce(0, +) }
                _ = (sums, try target.finish())
            """)
        #expect(outcome.code == 0, "\(outcome.messages)")
    }
}
