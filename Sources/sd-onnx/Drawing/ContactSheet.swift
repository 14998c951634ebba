import SDPipeline

/// Pictures beside each other, each with lines of text below it.
struct ContactSheet {
    struct Cell {
        let image: RGBImage
        let lines: [String]
    }

    /// Pixels between cells and around them.
    private static let gap = 8
    private static let lineHeight = 14

    let cells: [Cell]
    /// Pictures in a row.
    let columns: Int

    func image() throws -> RGBImage {
        let textWidth = cells.flatMap(\.lines).map(PixelFont.width).max() ?? 0
        let width = max(cells.map(\.image.width).max() ?? 1, textWidth)
        let pictureHeight = cells.map(\.image.height).max() ?? 1
        let height = pictureHeight + Self.lineHeight * (cells.map(\.lines.count).max() ?? 0)
        let rows = (cells.count + columns - 1) / columns
        let gap = Self.gap
        var canvas = try Canvas(
            width: gap + min(columns, cells.count) * (width + gap), height: gap + rows * (height + gap))
        for (index, cell) in cells.enumerated() {
            let (x, y) = (gap + index % columns * (width + gap), gap + index / columns * (height + gap))
            canvas.place(cell.image, x: x, y: y)
            for (number, line) in cell.lines.enumerated() {
                PixelFont.draw(line, x: x, y: y + pictureHeight + 3 + number * Self.lineHeight, on: &canvas)
            }
        }
        return try canvas.image()
    }
}
