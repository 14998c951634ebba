/// A tensor, shape or value that is not what was expected; the message is one sentence without a final stop.
public struct TensorError: Error, CustomStringConvertible, Sendable {
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
