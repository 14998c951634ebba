import Foundation

/// How a terminal shows pictures.
public enum TerminalImage: String, Sendable, CaseIterable {
    /// Kitty's graphics protocol, of Kitty, Ghostty and Konsole.
    case kitty
    /// iTerm2's inline pictures, of iTerm2, WezTerm and mintty.
    case iterm2
    /// DEC's sixels, of foot, mlterm, xterm as a VT340 and others.
    case sixel
    /// Two pixels to a character, in 24-bit colours: nearly any terminal of today.
    case blocks
    /// The same in the 6×6×6 colours that older terminals have.
    case blocks256 = "blocks-256"

    /// The size of a terminal's characters in pixels.
    public struct Cell: Sendable, Equatable {
        /// Its width in pixels, 1 or more.
        public var width: Int
        /// Its height in pixels, 1 or more.
        public var height: Int

        /// A cell; less than one pixel becomes one.
        public init(width: Int, height: Int) {
            self.width = max(width, 1)
            self.height = max(height, 1)
        }

        /// For terminals that don't tell.
        public static let usual = Cell(width: 8, height: 16)
    }

    /// What the terminal of this environment takes; `SD_ONNX_TERMINAL` states it, otherwise the variables that terminals set tell, and
    /// where they don't, the terminal's own answer.
    ///
    /// - Parameters:
    ///   - environment: the variables; those of this process unless given.
    ///   - primaryAttributes: called to ask the terminal for its primary device attributes (DEC STD 070, "DA1"), `[62, 4]` of the answer
    ///     `ESC [ ? 62 ; 4 c`; 4 among them stands for sixels. Empty where it doesn't answer.
    /// - Throws: ``PipelineError`` where `SD_ONNX_TERMINAL` names none of these, or the terminal is a dumb one.
    public static func detected(
        environment: [String: String] = ProcessInfo.processInfo.environment, primaryAttributes: () -> [Int] = { [] }
    ) throws -> TerminalImage {
        if let stated = environment["SD_ONNX_TERMINAL"], !stated.isEmpty {
            guard let result = TerminalImage(rawValue: stated) else {
                let known = allCases.map(\.rawValue).joined(separator: ", ")
                throw PipelineError("SD_ONNX_TERMINAL is \"\(stated)\", expected one of \(known).", kind: .unsuitableTerminal)
            }
            return result
        }
        let term = environment["TERM"] ?? ""
        if term == "dumb" { throw PipelineError("The terminal can't show pictures (TERM is dumb).", kind: .unsuitableTerminal) }
        let isTmux = environment["TMUX"] != nil || term.hasPrefix("tmux")
        // A multiplexer is in between and passes nobody's protocols on; sixels it may draw itself.
        if isTmux || environment["STY"] != nil || term.hasPrefix("screen") {
            if primaryAttributes().contains(4) { return .sixel }
            return isTmux || environment["COLORTERM"] == "truecolor" ? .blocks : .blocks256
        }
        if let known = known(term: term, environment: environment) { return known }
        return primaryAttributes().contains(4) ? .sixel : .blocks
    }

    /// What the variables tell of the terminals that set them.
    private static func known(term: String, environment: [String: String]) -> TerminalImage? {
        if term.contains("kitty") || term.contains("ghostty") || environment["KITTY_WINDOW_ID"] != nil { return .kitty }
        // Konsole knows Kitty's protocol since 22.04.
        if let version = Int(environment["KONSOLE_VERSION"] ?? ""), version >= 220_400 { return .kitty }
        // iTerm2 sends LC_TERMINAL through ssh.
        if environment["LC_TERMINAL"] == "iTerm2" { return .iterm2 }
        switch environment["TERM_PROGRAM"] {
        case "ghostty": return .kitty
        case "iTerm.app", "WezTerm", "mintty": return .iterm2
        case "Apple_Terminal": return .blocks256
        default: break
        }
        if term.hasPrefix("foot") || term.hasPrefix("mlterm") || term.contains("sixel") || environment["MLTERM"] != nil {
            return .sixel
        }
        // The console of Linux, which shows attributes that it doesn't know as text.
        return term == "linux" ? .blocks : nil
    }

    /// The characters that show a picture from the cursor on, in `columns` by `rows` cells, each about twice as high as wide. Where
    /// the cursor is afterwards depends on the terminal.
    ///
    /// - Parameters:
    ///   - image: the picture, of any size.
    ///   - columns: the cells side by side.
    ///   - rows: the cells above one another.
    ///   - cell: a cell's size in pixels, for sixels.
    ///   - number: of Kitty's, one picture takes the place of the one before with the same number; 1 to 2³² - 1.
    public func sequence(
        _ image: RGBImage, columns: Int, rows: Int, cell: Cell = .usual, number: UInt32 = 1
    ) throws -> String {
        switch self {
        case .kitty: try Self.kitty(image, columns: columns, rows: rows, number: number)
        case .iterm2:
            "\u{1B}]1337;File=inline=1;width=\(columns);height=\(rows);preserveAspectRatio=1:"
                + Data(try PNGFile.encode(image)).base64EncodedString() + "\u{07}"
        case .sixel: Self.sixel(try Self.resized(image, width: columns * cell.width, height: rows * cell.height))
        case .blocks, .blocks256:
            Self.blocks(try Self.resized(image, width: columns, height: 2 * rows), has24Bits: self == .blocks)
        }
    }

    /// In chunks of 4096 characters, as the protocol demands.
    private static func kitty(_ image: RGBImage, columns: Int, rows: Int, number: UInt32) throws -> String {
        let content = Array(Data(try PNGFile.encode(image)).base64EncodedString().utf8)
        let starts = Array(stride(from: 0, to: content.count, by: 4096))
        return starts.map { start in
            let end = min(start + 4096, content.count)
            let keys = start == 0 ? "a=T,f=100,q=2,C=1,i=\(number),p=1,c=\(columns),r=\(rows)," : ""
            return
                "\u{1B}_G\(keys)m=\(end < content.count ? 1 : 0);\(String(decoding: content[start..<end], as: UTF8.self))\u{1B}\\"
        }
        .joined()
    }

    private static func blocks(_ image: RGBImage, has24Bits: Bool) -> String {
        func code(_ pixel: (UInt8, UInt8, UInt8)) -> String {
            has24Bits
                ? "2;\(pixel.0);\(pixel.1);\(pixel.2)" : "5;\(16 + 36 * cube(pixel.0) + 6 * cube(pixel.1) + cube(pixel.2))"
        }
        // The cube's levels are 0, 95, 135, 175, 215 and 255.
        func cube(_ value: UInt8) -> Int { value < 48 ? 0 : value < 115 ? 1 : (Int(value) - 35) / 40 }
        return (0..<image.height / 2).map { row in
            (0..<image.width).map { column in
                let (top, bottom) = (color(image, column, 2 * row), color(image, column, 2 * row + 1))
                return "\u{1B}[38;\(code(top));48;\(code(bottom))m▀"
            }
            .joined() + "\u{1B}[0m"
        }
        .joined(separator: "\r\n")
    }

    /// Sixteenths that are added before a pixel's colour is rounded down, by its place (Bayer, "An optimum method for two-level
    /// rendition of continuous-tone pictures", 1973).
    private static let dither = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]

    /// Six rows at a time, a colour of six dithered levels for each primary at a time, runs of equal columns counted.
    private static func sixel(_ image: RGBImage) -> String {
        let indices = (0..<image.height).map { y in
            (0..<image.width).map { x -> Int in
                let pixel = color(image, x, y)
                let offset = 255 * dither[y % 4][x % 4] + 127
                func level(_ value: UInt8) -> Int { (16 * 5 * Int(value) + offset) / (16 * 255) }
                return 36 * level(pixel.0) + 6 * level(pixel.1) + level(pixel.2)
            }
        }
        var result = "\u{1B}Pq\"1;1;\(image.width);\(image.height)"
        for index in Set(indices.joined()).sorted() {
            result += "#\(index);2;\(20 * (index / 36));\(20 * (index / 6 % 6));\(20 * (index % 6))"
        }
        for top in stride(from: 0, to: image.height, by: 6) {
            if top > 0 { result += "-" }
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
