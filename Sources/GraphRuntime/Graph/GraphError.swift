/// A graph, or the specification of a run, that contradicts itself or the operators at hand; the message is one sentence without a final
/// stop.
public struct GraphError: Error, CustomStringConvertible, Sendable {
    /// What an app may decide by.
    public enum Kind: Sendable {
        /// The graph contradicts itself.
        case contradiction
        /// An operator, or an attribute of one, that isn't supported.
        case unsupported
        /// The inputs of a run: one is missing, unknown, or not as it is declared.
        case input
        /// A limit of ``ResourceLimits``.
        case limit
        /// A file that the model's weights lie in is missing, or can't be read any more.
        case file
    }

    /// What is wrong, for programs.
    public let kind: Kind
    /// What was found and what was expected, in one sentence without a full stop.
    public let message: String

    /// An error with this sentence, which is shortened where it is long.
    public init(_ message: String, kind: Kind = .contradiction) {
        self.kind = kind
        self.message = message.shortened(to: String.longestMessage)
    }

    public var description: String { message }
}
