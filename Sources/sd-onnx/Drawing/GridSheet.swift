import SDPipeline

/// Pictures in rows and columns, with a label above each column and to the left of each row.
struct GridSheet {
    /// Lines of a label.
    typealias Label = [String]

    /// From left to right; none for no labels.
    let columns: [Label]
    /// From top to bottom, likewise.
    let rows: [Label]
    /// Pictures, row by row.
    let cells: [[RGBImage]]

    /// Pixels between cells and around them.
    private static let gap = 8
    private static let lineHeight = PixelFont.height + 4
    /// The most pixels of a label beside small pictures.
    private static let labelWidth = 320

    /// - Throws: `ImageError` where the system doesn't give the memory.
    func image() throws -> RGBImage {
        let gap = Self.gap
        let (width, height) = (cells.joined().map(\.width).max() ?? 1, cells.joined().map(\.height).max() ?? 1)
        // A label may make its column wider than the pictures, within limits.
        let most = max(2 * width, Self.labelWidth)
        let columnWidth = max(width, min(Self.width(columns), most))
        let left = gap + (rows.isEmpty ? 0 : min(Self.width(rows), most) + gap)
        let top = gap + (columns.map(\.count).max() ?? 0) * Self.lineHeight
        let rowHeight = max(height, (rows.map(\.count).max() ?? 0) * Self.lineHeight)
        var canvas = try Canvas(
            width: left + (cells.map(\.count).max() ?? 0) * (columnWidth + gap), height: top + cells.count * (rowHeight + gap))
        for (column, label) in columns.enumerated() {
            Self.draw(label, x: left + column * (columnWidth + gap), y: gap, width: columnWidth, on: &canvas)
        }
        for (row, images) in cells.enumerated() {
            let y = top + row * (rowHeight + gap)
            if rows.indices.contains(row) {
                let middle = (rowHeight - rows[row].count * Self.lineHeight) / 2
                Self.draw(rows[row], x: gap, y: y + middle, width: left - 2 * gap, on: &canvas)
            }
            for (column, image) in images.enumerated() { canvas.place(image, x: left + column * (columnWidth + gap), y: y) }
        }
        return try canvas.image()
    }

    private static func width(_ labels: [Label]) -> Int { labels.joined().map(PixelFont.width).max() ?? 0 }

    /// As much of each line as has room, with two dots for the rest.
    private static func draw(_ label: Label, x: Int, y: Int, width: Int, on canvas: inout Canvas) {
        let room = max(width / PixelFont.width("x"), 2)
        for (number, line) in label.enumerated() {
            let text = line.count > room ? line.prefix(room - 2) + ".." : line
            PixelFont.draw(text, x: x, y: y + number * lineHeight, on: &canvas)
        }
    }
}
