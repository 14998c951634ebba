import Foundation

/// A model folder, a request or a file that a pipeline can't work with: one sentence on what was found and what was expected.
public struct PipelineError: Error, CustomStringConvertible, LocalizedError, Sendable {
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { message }
    public var errorDescription: String? { message }
}
