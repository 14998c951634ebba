import Foundation
import SDPipeline

/// Shows what the pipeline reports of the picture in the making; the first of a batch stands for all.
final class LivePreviewWriter {
    private let file: URL?
    private let terminal: TerminalImage?
    /// Lines of the terminal that the picture takes, once one was shown.
    private var shownRows: Int?

    private static let mostColumns = 64

    init(_ options: LivePreviewOptions) throws {
        file = options.preview.map { URL(fileURLWithPath: $0) }
        if let file { try AtomicFile.check(file) }
        terminal =
            options.previewTerminal ? try TerminalImage.detected(primaryAttributes: TerminalQuery.primaryAttributes) : nil
    }

    /// - Parameters:
    ///   - linesBelow: lines that were finished below the picture since it was shown last.
    ///   - text: what the file says of itself.
    func show(_ image: RGBImage, linesBelow: Int = 0, text: [PNGText] = []) throws {
        if let file {
            let bytes = try PNGFile.encode(image, text: text)
            try Interruption.whileWriting { try AtomicFile.write(bytes, to: file, durably: false) }
        }
        if let terminal { try draw(image, terminal, linesBelow: linesBelow) }
    }

    /// Draws over the last picture, and leaves the cursor at the start of the line where it was.
    private func draw(_ image: RGBImage, _ terminal: TerminalImage, linesBelow: Int) throws {
        let (columns, rows, cell) = place(image)
        var text = "\r"
        if shownRows != rows {
            // The line of the progress bar is cleared, then room is made: a terminal scrolls at its end.
            text += "\u{1B}[K" + String(repeating: "\n", count: rows)
            shownRows = rows
        }
        let up = rows + linesBelow
        let number = UInt32(truncatingIfNeeded: max(ProcessInfo.processInfo.processIdentifier, 1))
        text +=
            "\u{1B}[\(up)A\u{1B}7"
            + (try terminal.sequence(image, columns: columns, rows: rows, cell: cell, number: number)) + "\u{1B}8\u{1B}[\(up)B"
        StandardStreams.printError(text, terminator: "")
    }

    /// The cells that a picture takes: as many as fit beside and above a line of text, with the picture's proportions.
    private func place(_ image: RGBImage) -> (columns: Int, rows: Int, cell: TerminalImage.Cell) {
        let size = StandardStreams.terminalSize
        let cell = size.cell ?? .usual
        let most = max(min(Self.mostColumns, size.columns - 1), 2)
        func rows(_ columns: Int) -> Int {
            max((2 * columns * cell.width * image.height / max(image.width * cell.height, 1) + 1) / 2, 1)
        }
        var columns = most
        // The bar's last line, and the one that it leaves the cursor on, stay below.
        while columns > 2, rows(columns) > size.rows - 2 { columns -= 1 }
        return (columns, max(min(rows(columns), size.rows - 2), 1), cell)
    }
}
