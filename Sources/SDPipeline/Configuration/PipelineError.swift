import Foundation

/// A model folder, a request or a file that a pipeline can't work with: one sentence on what was found and what was expected.
public struct PipelineError: Error, CustomStringConvertible, LocalizedError, Sendable {
    /// One sentence, with its full stop, that says what a person can do.
    public let message: String

    /// An error with this sentence.
    public init(_ message: String) { self.message = message }

    public var description: String { message }
    public var errorDescription: String? { message }
}
