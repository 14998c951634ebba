import Foundation

/// Capital letters, digits and signs of three by five dots, each two pixels wide and high. Letters with marks lose these, and others are boxes.
enum PixelFont {
    private static let scale = 2
    /// Five rows of three dots as octal digits.
    private static let glyphs: [Character: String] = [
        "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553", "H": "55755",
        "I": "72227", "J": "11152", "K": "55655", "L": "44447", "M": "57755", "N": "65555", "O": "25552", "P": "65644",
        "Q": "25563", "R": "65655", "S": "34216", "T": "72222", "U": "55557", "V": "55552", "W": "55775", "X": "55255",
        "Y": "55222", "Z": "71247", "0": "75557", "1": "26227", "2": "61247", "3": "61216", "4": "55711", "5": "74616",
        "6": "34757", "7": "71222", "8": "75757", "9": "75716", "+": "02720", "-": "00700", ".": "00002", ",": "00024",
        ":": "02020", "(": "12221", ")": "42224", "/": "11244", "_": "00007", "=": "07070",
        "%": "51245", "*": "05250", "'": "22000", "\"": "55000", "!": "22202", "?": "61202", "[": "64446", "]": "31113",
        "{": "32623", "}": "62326", "|": "22222", "<": "12421", ">": "42124", "&": "25257", "#": "57575", ";": "02024",
        "@": "25743", "$": "36236", "^": "25000", "~": "00360", "\\": "44211", "`": "42000", " ": "00000",
    ]
    private static let unknown = "77777"

    static let height = 5 * scale

    static func width(_ text: String) -> Int { text.count * 4 * scale }

    static func draw(_ text: String, x: Int, y: Int, on canvas: inout Canvas) {
        let plain = text.folding(options: .diacriticInsensitive, locale: nil).uppercased()
        for (position, character) in plain.enumerated() {
            for (row, digit) in (glyphs[character] ?? unknown).enumerated() {
                let dots = digit.wholeNumberValue ?? 0
                for column in 0..<3 where dots >> (2 - column) & 1 == 1 {
                    for offset in 0..<scale * scale {
                        canvas.set(
                            x + (position * 4 + column) * scale + offset % scale, y + row * scale + offset / scale, (0, 0, 0))
                    }
                }
            }
        }
    }
}
