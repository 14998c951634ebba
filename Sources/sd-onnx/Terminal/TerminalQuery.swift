import Foundation

/// Asks the terminal what it can.
enum TerminalQuery {
    /// Terminals answer at once; those at the end of a long line may take this long, in milliseconds.
    private static let patience: Int32 = 500

    /// The terminal's primary device attributes: `[62, 4]` where it answers `ESC [ ? 62 ; 4 c`. Empty where it doesn't, or where this
    /// program runs in the background of a shell.
    static func primaryAttributes() -> [Int] {
        guard let answer = answer(to: "\u{1B}[c", endingWith: "c"), let start = answer.range(of: "\u{1B}[?"),
            let end = answer[start.upperBound...].firstIndex(of: "c")
        else { return [] }
        return answer[start.upperBound..<end].split(separator: ";").compactMap { Int($0) }
    }

    private static func answer(to question: String, endingWith end: Character) -> String? {
        let terminal = unsafe open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard terminal >= 0 else { return nil }
        defer { _ = close(terminal) }
        var before = termios()
        guard tcgetpgrp(terminal) == getpgrp(), unsafe tcgetattr(terminal, &before) == 0 else { return nil }
        // The answer comes as if it were typed: neither shown nor held back until a line ends. Ctrl-C, which would leave the terminal
        // so, is handed on behind it.
        var plain = before
        plain.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        guard unsafe tcsetattr(terminal, TCSANOW, &plain) == 0 else { return nil }
        var bytes: [UInt8] = []
        defer {
            _ = unsafe tcsetattr(terminal, TCSANOW, &before)
            if bytes.contains(3) { _ = kill(getpid(), SIGINT) }
        }
        guard
            unsafe Array(question.utf8).withUnsafeBytes({ unsafe write(terminal, $0.baseAddress, $0.count) })
                == question.utf8.count
        else {
            return nil
        }
        var waiting = pollfd(fd: terminal, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&waiting, 1, patience) > 0 {
            var part = [UInt8](repeating: 0, count: 256)
            let count = unsafe part.withUnsafeMutableBytes { unsafe read(terminal, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            bytes += part[..<count]
            let text = String(decoding: bytes, as: UTF8.self)
            if text.contains("\u{1B}[?"), text.last == end { return text }
            if bytes.count > 4096 { break }
        }
        return nil
    }
}
