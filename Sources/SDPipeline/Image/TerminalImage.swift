import Foundation

/// How a terminal shows pictures.
public enum TerminalImage: String, Sendable, CaseIterable {
    /// Kitty's graphics protocol, of Kitty and Ghostty.
    case kitty
    /// iTerm2's inline pictures, of iTerm2 and WezTerm.
    case iterm2
    /// DEC's sixels, of foot, mlterm and others.
    case sixel
    /// Two pixels to a character, in 24-bit colours: any terminal of today.
    case blocks

    /// What the terminal of this environment takes, as far as its variables tell; `SD_ONNX_TERMINAL` states it.
    ///
    /// - Throws: ``PipelineError`` where that names none of these.
    public static func detected(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> TerminalImage {
        if let stated = environment["SD_ONNX_TERMINAL"], !stated.isEmpty {
            guard let result = TerminalImage(rawValue: stated) else {
                let known = allCases.map(\.rawValue).joined(separator: ", ")
                throw PipelineError("SD_ONNX_TERMINAL is \"\(stated)\", expected one of \(known).")
            }
            return result
        }
        let term = environment["TERM"] ?? ""
        let program = environment["TERM_PROGRAM"] ?? ""
        // A multiplexer stands between, and passes none of the protocols on by itself.
        if environment["TMUX"] != nil || term.hasPrefix("screen") || term.hasPrefix("tmux") { return .blocks }
        if term.contains("kitty") || term.contains("ghostty") || environment["KITTY_WINDOW_ID"] != nil { return .kitty }
        if program == "iTerm.app" || program == "WezTerm" { return .iterm2 }
        if term.hasPrefix("foot") || term.hasPrefix("mlterm") || term.contains("sixel") { return .sixel }
        return .blocks
    }

    /// The characters that show a picture from the cursor on, in `columns` by `rows` cells, each about twice as high as wide. Where
    /// the cursor is afterwards depends on the terminal.
    public func sequence(_ image: RGBImage, columns: Int, rows: Int) throws -> String {
        switch self {
        case .kitty: try Self.kitty(image, columns: columns, rows: rows)
        case .iterm2:
            "\u{1B}]1337;File=inline=1;width=\(columns);height=\(rows);preserveAspectRatio=1:"
                + Data(try PNGFile.encode(image)).base64EncodedString() + "\u{07}"
        // Most terminals' cells are about 8 by 16 pixels.
        case .sixel: Self.sixel(try Self.resized(image, width: columns * 8, height: rows * 16))
        case .blocks: Self.blocks(try Self.resized(image, width: columns, height: 2 * rows))
        }
    }

    /// In chunks of 4096 characters, as the protocol demands.
    private static func kitty(_ image: RGBImage, columns: Int, rows: Int) throws -> String {
        let content = Array(Data(try PNGFile.encode(image)).base64EncodedString().utf8)
        let starts = Array(stride(from: 0, to: content.count, by: 4096))
        return starts.map { start in
            let end = min(start + 4096, content.count)
            let keys = start == 0 ? "a=T,f=100,q=2,C=1,c=\(columns),r=\(rows)," : ""
            return
                "\u{1B}_G\(keys)m=\(end < content.count ? 1 : 0);\(String(decoding: content[start..<end], as: UTF8.self))\u{1B}\\"
        }
        .joined()
    }

    private static func blocks(_ image: RGBImage) -> String {
        (0..<image.height / 2).map { row in
            (0..<image.width).map { column in
                let (top, bottom) = (color(image, column, 2 * row), color(image, column, 2 * row + 1))
                return "\u{1B}[38;2;\(top.0);\(top.1);\(top.2);48;2;\(bottom.0);\(bottom.1);\(bottom.2)m▀"
            }
            .joined() + "\u{1B}[0m"
        }
        .joined(separator: "\r\n")
    }

    /// Six rows at a time, a colour of six levels for each primary at a time, runs of equal columns counted.
    private static func sixel(_ image: RGBImage) -> String {
        func level(_ value: UInt8) -> Int { (Int(value) * 5 + 127) / 255 }
        let indices = (0..<image.height).map { y in
            (0..<image.width).map { x -> Int in
                let pixel = color(image, x, y)
                return 36 * level(pixel.0) + 6 * level(pixel.1) + level(pixel.2)
            }
        }
        var result = "\u{1B}Pq\"1;1;\(image.width);\(image.height)"
        for index in Set(indices.joined()).sorted() {
            result += "#\(index);2;\(20 * (index / 36));\(20 * (index / 6 % 6));\(20 * (index % 6))"
        }
        for top in stride(from: 0, to: image.height, by: 6) {
            let band = indices[top..<min(top + 6, image.height)]
            for index in Set(band.joined()).sorted() {
                result += "#\(index)"
                var run: (character: UInt8, count: Int) = (0, 0)
                func flush() {
                    guard run.count > 0 else { return }
                    let character = String(UnicodeScalar(run.character))
                    result += run.count > 3 ? "!\(run.count)\(character)" : String(repeating: character, count: run.count)
                }
                for x in 0..<image.width {
                    let bits = band.enumerated().reduce(0) { $0 | ($1.element[x] == index ? 1 << $1.offset : 0) }
                    let character = UInt8(63 + bits)
                    if character != run.character {
                        flush()
                        run = (character, 0)
                    }
                    run.count += 1
                }
                flush()
                result += "$"
            }
            result += "-"
        }
        return result + "\u{1B}\\"
    }

    private static func color(_ image: RGBImage, _ x: Int, _ y: Int) -> (UInt8, UInt8, UInt8) {
        let start = 3 * (y * image.width + x)
        return (image.pixels[start], image.pixels[start + 1], image.pixels[start + 2])
    }

    /// Each pixel the mean of those that it covers, or the nearest where the picture grows.
    private static func resized(_ image: RGBImage, width: Int, height: Int) throws -> RGBImage {
        let (width, height) = (max(width, 1), max(height, 1))
        var pixels: [UInt8] = []
        pixels.reserveCapacity(3 * width * height)
        for y in 0..<height {
            let rows = y * image.height / height..<max((y + 1) * image.height / height, y * image.height / height + 1)
            for x in 0..<width {
                let columns = x * image.width / width..<max((x + 1) * image.width / width, x * image.width / width + 1)
                for channel in 0..<3 {
                    var sum = 0
                    for row in rows {
                        for column in columns { sum += Int(image.pixels[3 * (row * image.width + column) + channel]) }
                    }
                    pixels.append(UInt8(sum / (rows.count * columns.count)))
                }
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }
}
