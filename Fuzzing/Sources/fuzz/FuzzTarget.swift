/// A reader of untrusted bytes. It may throw whatever it likes, as long as that is one sentence; it may not trap, read what isn't
/// its own, run for ever or take memory without bound.
struct FuzzTarget: Sendable {
    let name: String
    let body: @Sendable ([UInt8]) throws -> Void

    static let all = [
        graph, external, tokenizer, scheduler, configuration, png, jpeg, metadata, npy, npz, value, embedding, adapter,
    ]

    /// The longest error that a person is shown.
    private static let longestError = 4096

    func run(_ bytes: [UInt8]) {
        do {
            try body(bytes)
        } catch {
            let text = "\(error)"
            precondition(
                !text.isEmpty && text.utf8.count <= Self.longestError,
                "an error of \(text.utf8.count) bytes: \(text.prefix(200))")
        }
    }
}

/// Inputs that stand for several files have them one after another, with a byte between that no UTF-8 text has.
func files(in bytes: [UInt8], count: Int) -> [[UInt8]?] {
    let parts = bytes.split(separator: 0xFF, maxSplits: count - 1, omittingEmptySubsequences: false)
    return (0..<count).map { $0 < parts.count && !parts[$0].isEmpty ? [UInt8](parts[$0]) : nil }
}
