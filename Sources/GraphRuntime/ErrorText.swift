/// Texts in messages: names and shapes come from files, where they may have any length.
extension String {
    /// The most bytes that a message has: about ten lines of a terminal.
    package static let longestMessage = 1000
    /// The most bytes of a name within a message: more than the longest that exporters write.
    package static let longestName = 200

    /// The text, or its start and its end where it has more bytes of UTF-8 than `limit`.
    package func shortened(to limit: Int) -> String {
        let count = utf8.count
        let gap = " … "
        guard count > limit, limit > gap.utf8.count else { return self }
        let end = limit / 2
        var head = utf8.index(utf8.startIndex, offsetBy: limit - end - gap.utf8.count)
        while head.samePosition(in: unicodeScalars) == nil { head = utf8.index(before: head) }
        var tail = utf8.index(utf8.startIndex, offsetBy: count - end)
        while tail.samePosition(in: unicodeScalars) == nil { tail = utf8.index(after: tail) }
        return String(unicodeScalars[..<head]) + gap + String(unicodeScalars[tail...])
    }
}
