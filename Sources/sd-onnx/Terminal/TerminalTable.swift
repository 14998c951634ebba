import Foundation

/// A table of text that fits the terminal it is printed on; elsewhere it is as wide as it needs.
struct TerminalTable {
    struct Column {
        let title: String
        /// Text is aligned left, figures right.
        var isText = false
        /// Columns of the lowest importance go first where the terminal is narrow; the first column always stays.
        var importance = 1
    }

    /// Characters that the first column, the rows' names, keeps, and that other text keeps.
    private static let narrowestName = 28
    private static let narrowestText = 12
    private static let gap = "  "

    private static let (plain, bold, faint, yellow) = ("\u{1B}[0m", "\u{1B}[1m", "\u{1B}[2m", "\u{1B}[33m")
    /// The escape sequences that tables are coloured with.
    static let escapes = [plain, bold, faint, yellow]

    let columns: [Column]
    private(set) var rows: [(cells: [String], emphasis: Emphasis)] = []

    enum Emphasis { case none, strong, faint }

    init(_ columns: [Column]) { self.columns = columns }

    /// - Parameter cells: one for each column; missing ones at the end are empty.
    mutating func add(_ cells: [String], emphasis: Emphasis = .none) {
        rows.append((cells.map(Printable.line) + Array(repeating: "", count: max(columns.count - cells.count, 0)), emphasis))
    }

    /// - Parameters:
    ///   - width: columns of the terminal; nil for no limit.
    ///   - isColored: whether to set off the header and marked rows.
    func lines(width: Int?, isColored: Bool) -> [String] {
        var kept = Array(columns.indices)
        var widths = columns.indices.map { column in
            max(columns[column].title.count, rows.map { $0.cells[column].count }.max() ?? 0)
        }
        if let width {
            func total() -> Int { kept.reduce(0) { $0 + widths[$1] } + Self.gap.count * (kept.count - 1) }
            // Text gives way first, then columns.
            func shrink() {
                for column in kept.reversed() where columns[column].isText && total() > width {
                    widths[column] = max(
                        widths[column] - (total() - width),
                        min(widths[column], column == 0 ? Self.narrowestName : Self.narrowestText))
                }
            }
            shrink()
            while total() > width, kept.count > 1,
                let victim = kept.dropFirst().min(by: { columns[$0].importance < columns[$1].importance })
            {
                kept.removeAll { $0 == victim }
            }
            // Room that a dropped column left goes back to the name.
            if let first = kept.first, total() < width {
                let wanted = max(columns[first].title.count, rows.map { $0.cells[first].count }.max() ?? 0)
                widths[first] = min(widths[first] + width - total(), wanted)
            }
            if total() > width, let first = kept.first { widths[first] = max(widths[first] - (total() - width), 1) }
        }
        func line(_ cells: [String]) -> String {
            let parts = kept.map { column -> String in
                let text = Self.fit(cells[column], widths[column])
                let padding = String(repeating: " ", count: widths[column] - text.count)
                return columns[column].isText ? text + padding : padding + text
            }
            var result = parts.joined(separator: Self.gap)
            while result.last == " " { result.removeLast() }
            return result
        }
        let header = line(columns.map(\.title))
        return [isColored ? Self.bold + header + Self.plain : header]
            + rows.map { row in
                let text = line(row.cells)
                guard isColored else { return text }
                switch row.emphasis {
                case .none: return text
                case .strong: return Self.yellow + text + Self.plain
                case .faint: return Self.faint + text + Self.plain
                }
            }
    }

    /// For standard output as it is.
    var text: String {
        lines(width: StandardStreams.outputWidth, isColored: StandardStreams.isOutputColored).joined(separator: "\n")
    }

    /// Text cut to a width: of a path, such as a node's name, its end tells more.
    private static func fit(_ text: String, _ width: Int) -> String {
        if text.count <= width { return text }
        if width <= 1 { return String(text.prefix(width)) }
        return text.first == "/" ? "…\(text.suffix(width - 1))" : "\(text.prefix(width - 1))…"
    }
}
