import ONNXLoader

/// What became of backend tests. Written as JSON with keys in snake case.
struct VerifyReport: Encodable {
    struct Entry: Encodable {
        let name: String
        /// `passed`, `failed` or `skipped`.
        let status: String
        let reason: String?

        init(_ name: String, _ verdict: BackendTestRunner.Verdict) {
            self.name = name
            switch verdict {
            case .passed: (status, reason) = ("passed", nil)
            case .failed(let text): (status, reason) = ("failed", text)
            case .skipped(let text): (status, reason) = ("skipped", text)
            }
        }

        var text: String {
            let word = ["passed": "PASS", "failed": "FAIL", "skipped": "SKIP"][status] ?? status
            return "\(word) \(name)" + (reason.map { ": \($0)" } ?? "")
        }
    }

    private(set) var passed = 0
    private(set) var failed = 0
    private(set) var skipped = 0
    private(set) var cases: [Entry] = []

    var summary: String { "\(passed) passed, \(failed) failed, \(skipped) skipped" }

    /// - Returns: the case's entry.
    mutating func add(_ name: String, _ verdict: BackendTestRunner.Verdict) -> Entry {
        switch verdict {
        case .passed: passed += 1
        case .failed: failed += 1
        case .skipped: skipped += 1
        }
        let entry = Entry(name, verdict)
        cases.append(entry)
        return entry
    }
}
