/// Finds added tokens in text: of those that begin at one place the longest.
struct AddedTokenTrie: Sendable {
    private struct State {
        var next: [Unicode.Scalar: Int] = [:]
        var token: Int?
    }

    private var states = [State()]

    /// - Parameter contents: the tokens' texts; of equal ones the first counts, and empty ones are never found.
    init(_ contents: [[Unicode.Scalar]]) {
        for (index, content) in contents.enumerated() where !content.isEmpty {
            var state = 0
            for scalar in content {
                if let next = states[state].next[scalar] {
                    state = next
                } else {
                    states[state].next[scalar] = states.count
                    state = states.count
                    states.append(State())
                }
            }
            states[state].token = states[state].token ?? index
        }
    }

    /// The number of the longest token that begins at a place, and the place after it.
    func longestMatch(at start: Int, in text: ArraySlice<Unicode.Scalar>) -> (token: Int, end: Int)? {
        var found: (token: Int, end: Int)?
        var state = 0
        var place = start
        while place < text.endIndex, let next = states[state].next[text[place]] {
            state = next
            place += 1
            if let token = states[state].token { found = (token, place) }
        }
        return found
    }
}
