/// A tensor, shape or value that is not what was expected; the message is one sentence without a final stop.
public struct TensorError: Error, CustomStringConvertible, Sendable {
    /// What was found and what was expected, in one sentence without a full stop.
    public let message: String

    /// An error with this sentence.
    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
