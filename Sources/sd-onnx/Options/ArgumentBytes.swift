import Foundation

/// The bytes of the command line where they are no text: file names may have any, but texts are UTF-8 here, and what isn't becomes
/// U+FFFD. A file of such a name would be looked for, or written, under another.
enum ArgumentBytes {
    /// Arguments that aren't UTF-8, as the texts that they became.
    private static let changed: [String] = (0..<Int(CommandLine.argc)).compactMap { index in
        guard let argument = unsafe CommandLine.unsafeArgv[index] else { return nil }
        let bytes = unsafe UnsafeBufferPointer(start: argument, count: strlen(argument))
        return unsafe String(validating: bytes, as: UTF8.self) == nil ? String(cString: argument) : nil
    }

    /// Whether a text is, or is the end of, an argument that has lost bytes.
    static func haveChanged(in text: String) -> Bool {
        text.unicodeScalars.contains("\u{FFFD}") && changed.contains { $0.hasSuffix(text) }
    }
}
