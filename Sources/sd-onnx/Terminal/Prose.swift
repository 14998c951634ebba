/// Sentences and lists for standard output.
enum Prose {
    /// Where no terminal says how wide it is, such as in a file or before a pipe.
    static let usualWidth = 100

    /// A line broken between words so that it fits, its first spaces kept; the lines that follow are set in by two more.
    ///
    /// - Parameter width: characters of a line; of the terminal unless given. A longer word has a line of its own.
    static func wrapped(_ line: String, width: Int = StandardStreams.outputWidth ?? usualWidth) -> String {
        guard line.count > width else { return line }
        let margin = String(line.prefix { $0 == " " })
        var lines: [String] = []
        var current = margin
        for word in line.split(separator: " ") {
            let isStart = current.allSatisfy { $0 == " " }
            if !isStart, current.count + 1 + word.count > width {
                lines.append(current)
                current = margin + "  " + word
            } else {
                current += (isStart ? "" : " ") + word
            }
        }
        return (lines + [current]).joined(separator: "\n")
    }
}
