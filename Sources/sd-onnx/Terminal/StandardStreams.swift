import Foundation
import SDPipeline

/// Writes to the standard streams: results to output, everything else to error.
enum StandardStreams {
    /// Makes writing to a stream that nobody reads an error instead of the program's end: a closed standard error must not cost
    /// a picture, and a closed standard output gets a message.
    static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        // Likewise for a file that grows beyond the limit (ulimit -f).
        signal(SIGXFSZ, SIG_IGN)
        // A stream that is closed from the start would give its number to the next file that is opened. Opened for reading
        // only, writing to it still fails.
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            _ = unsafe open("/dev/null", O_RDONLY)
        }
    }

    static func printError(_ text: String, terminator: String = "\n") {
        // Where standard error is gone, there is nobody to tell.
        try? write(Array((text + terminator).utf8), to: STDERR_FILENO, name: "Standard error")
    }

    /// - Throws: ``StreamFailure`` where standard output is closed or full.
    static func printOutput(_ text: String) throws {
        try writeReport(Array((Printable.text(text, keeping: TerminalTable.escapes) + "\n").utf8))
    }

    /// Writes a report, of which a reader may take as much as it likes: that `head` has gone is no failure.
    ///
    /// - Throws: ``StreamFailure`` where standard output was closed from the start, or is full.
    static func writeReport(_ bytes: [UInt8]) throws {
        do { try writeOutput(bytes) } catch let failure as StreamFailure where failure.code == EPIPE {}
    }

    /// Writes a file, which is worth nothing in parts.
    ///
    /// - Throws: ``StreamFailure`` where standard output is closed or full.
    static func writeOutput(_ bytes: [UInt8]) throws { try write(bytes, to: STDOUT_FILENO, name: "Standard output") }

    /// A stream that can't be written. `description` is one sentence.
    struct StreamFailure: Error, CustomStringConvertible {
        let name: String
        /// As in `errno`.
        let code: Int32
        var description: String { unsafe "\(name) can't be written: \(String(cString: strerror(code)))." }
    }

    static let isErrorTerminal = isatty(STDERR_FILENO) == 1
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// Whether results may have colours: on a terminal, unless NO_COLOR says otherwise (no-color.org).
    static var isOutputColored: Bool {
        let environment = ProcessInfo.processInfo.environment
        return isOutputTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    /// Columns of the terminal behind standard output; nil where it isn't one.
    static var outputWidth: Int? {
        guard isOutputTerminal else { return nil }
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Columns of the terminal behind standard error; 80 where it doesn't tell.
    static var terminalWidth: Int { terminalSize.columns }

    /// The size of the terminal behind standard error, 80 by 24 where it doesn't tell, and that of its characters, if it tells.
    static var terminalSize: (columns: Int, rows: Int, cell: TerminalImage.Cell?) {
        var size = winsize()
        guard unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24, nil) }
        let (columns, rows) = (Int(size.ws_col), size.ws_row > 0 ? Int(size.ws_row) : 24)
        let isKnown = size.ws_xpixel >= size.ws_col && size.ws_ypixel >= rows
        return (
            columns, rows,
            isKnown ? TerminalImage.Cell(width: Int(size.ws_xpixel) / columns, height: Int(size.ws_ypixel) / rows) : nil
        )
    }

    /// Prints a value as JSON on standard output.
    static func printJSON(_ value: some Encodable) throws { try writeReport(try json(value)) }

    /// A value as JSON with keys in snake case, and a line end.
    static func json(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return [UInt8](try encoder.encode(value)) + [0x0A]
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, name: String) throws {
        unsafe try bytes.withUnsafeBytes { memory in
            var rest = unsafe memory[...]
            while unsafe !rest.isEmpty {
                let written = unsafe Foundation.write(
                    descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0 {
                    if errno == EINTR { continue }
                    if errno == EAGAIN {
                        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        _ = unsafe poll(&waiting, 1, -1)
                        continue
                    }
                    throw StreamFailure(name: name, code: errno)
                }
                unsafe rest = unsafe rest.dropFirst(written)
            }
        }
    }
}
