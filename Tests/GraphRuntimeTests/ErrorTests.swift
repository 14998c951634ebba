import Foundation
import GraphRuntime
import TestSupport
import Testing

@Suite struct ErrorTests {
    @Test func longTextsKeepTheirEnds() {
        #expect("abc".shortened(to: 10) == "abc")
        #expect(String(repeating: "a", count: 50).shortened(to: 21) == "aaaaaa … aaaaaaaaaa")
        for scalar in ["a", "é", "日", "𝒳", "e\u{301}"] {
            let text = String(repeating: scalar, count: 3000)
            for limit in 100...140 {
                let short = text.shortened(to: limit)
                #expect(short.utf8.count <= limit && short.utf8.count > limit - 10)
                #expect(
                    short.unicodeScalars.allSatisfy { scalar.unicodeScalars.contains($0) || " …".unicodeScalars.contains($0) })
            }
        }
        let message = "tensor \"" + String(repeating: "n", count: 100_000) + "\": the values lie in two fields"
        #expect(TensorError(message).message.hasSuffix("the values lie in two fields"))
        #expect(GraphError(message).message.utf8.count <= 1000)
    }

    /// What Foundation shows of an error is its sentence.
    @Test func errorsAreLocalized() {
        let errors: [(any Error, String)] = [
            (TensorError("expected a tensor"), "expected a tensor."),
            (GraphError("the input is missing"), "the input is missing."),
        ]
        for (error, text) in errors { #expect(error.localizedDescription == text) }
    }

    @Test func runErrorsHaveKinds() throws {
        let error = #expect(throws: TensorError.self) {
            try MutableTensor(dtype: .float64, shape: Shape([1 << 24, 1 << 24]))
        }
        #expect(error?.kind == .outOfMemory)
        expectError("a shape has 65 axes, expected at most 64") { try Shape([Int](repeating: 1, count: 65)) }
        #expect(try Shape([Int](repeating: 1, count: 64)).rank == 64)
    }

    /// No message of the library speaks of the command line's options, but for those of the program that exports models.
    @Test func messagesNameNoOptions() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        var count = 0
        for module in ["GraphRuntime", "ONNXLoader", "Ops", "SDPipeline"] {
            let folder = root.appending(path: "Sources/\(module)")
            for name in try #require(FileManager.default.enumerator(atPath: folder.path)).compactMap({ $0 as? String })
            where name.hasSuffix(".swift") {
                count += 1
                for line in try String(contentsOf: folder.appending(path: name), encoding: .utf8).split(separator: "\n") {
                    let code = line.trimmingCharacters(in: .whitespaces)
                    guard code.contains("\""), !code.hasPrefix("//"), !code.contains("optimum-cli") else { continue }
                    #expect(
                        try code.firstMatch(of: Regex(#"[ "(]--[a-z]|sd-onnx (generate|run|bench)"#)) == nil, "\(name): \(code)"
                    )
                }
            }
        }
        #expect(count > 200)
    }
}
