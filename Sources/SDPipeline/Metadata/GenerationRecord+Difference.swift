extension GenerationRecord {
    /// A setting that isn't the same in two records.
    public struct Difference: Sendable, Equatable {
        /// The setting's key in JSON.
        public let key: String
        /// Its value as JSON; nil where the record has none.
        public let value: String?
        /// The other record's.
        public let other: String?
    }

    /// What isn't as in another record, by the keys of JSON in alphabetic order. What follows from other settings is left out: counts of
    /// tokens, and the scheduler's whole settings where those that were stated differ already.
    ///
    /// - Throws: what `JSONEncoder` throws.
    public func differences(from other: GenerationRecord) throws -> [Difference] {
        let (mine, theirs) = (try values(), try other.values())
        let consequences: Set<String> = [
            "prompt_tokens", "negative_prompt_tokens", "token_limit", "prompt_cut", "scheduler_class",
        ]
        var differences = Set(mine.keys).union(theirs.keys).subtracting(consequences).sorted().compactMap {
            key -> Difference? in
            mine[key] == theirs[key] ? nil : Difference(key: key, value: mine[key]?.json, other: theirs[key]?.json)
        }
        if differences.contains(where: { ["scheduler", "scheduler_overrides", "model_hash"].contains($0.key) }) {
            differences.removeAll { $0.key == "scheduler_settings" }
        }
        return differences
    }

    private func values() throws -> [String: JSONValue] { JSONValue(parsing: try json)?.object ?? [:] }
}

extension JSONValue {
    /// The value in short, for a person: lists and objects too.
    fileprivate var json: String {
        switch self {
        case .list(let list): "[" + list.map(\.json).joined(separator: ", ") + "]"
        case .object(let object):
            "{" + object.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.json)" }.joined(separator: ", ") + "}"
        default: plain ?? "null"
        }
    }
}
