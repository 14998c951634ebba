/// A tensor, shape or value that is not what was expected; the message is one sentence without a final stop.
public struct TensorError: Error, CustomStringConvertible, Sendable {
    /// What an app may decide by.
    public enum Kind: Sendable {
        /// A tensor, shape, type or attribute that doesn't fit.
        case invalid
        /// The system has no memory for a tensor.
        case outOfMemory
    }

    /// What is wrong, for programs.
    public let kind: Kind
    /// What was found and what was expected, in one sentence without a full stop.
    public let message: String

    /// An error with this sentence, which is shortened where it is long.
    public init(_ message: String, kind: Kind = .invalid) {
        self.kind = kind
        self.message = message.shortened(to: String.longestMessage)
    }

    public var description: String { message }
}
