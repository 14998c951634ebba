import Foundation

/// Writes to the standard streams: results to output, everything else to error.
enum StandardStreams {
    static func printError(_ text: String, terminator: String = "\n") {
        FileHandle.standardError.write(Data((text + terminator).utf8))
    }

    static let isErrorTerminal = isatty(STDERR_FILENO) == 1

    /// Columns of the terminal behind standard error; 80 where it doesn't tell.
    static var terminalWidth: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Prints a value as JSON on standard output.
    static func printJSON(_ value: some Encodable) throws { print(String(decoding: try json(value), as: UTF8.self)) }

    static func json(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}
