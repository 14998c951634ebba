import Foundation

/// A model folder, a request or a run that a pipeline can't work with: one sentence on what was found and what was expected.
public struct PipelineError: Error, CustomStringConvertible, LocalizedError, Sendable, Equatable {
    /// What an app may decide by.
    public enum Kind: Sendable, Equatable {
        /// A folder or file that a pipeline needs isn't there.
        case missingFile
        /// A file of the model's folder can't be read, or says what can't be.
        case malformedFile
        /// A model of a kind that isn't supported here, or that has yet to be exported.
        case unsupportedModel
        /// A request that this model can't meet: another size, strength or scheduler may do.
        case invalidRequest
        /// There is less memory than the request needs.
        case outOfMemory
        /// A graph could not be loaded or run.
        case failedRun
        /// Numbers became NaN or infinite; `component` is the graph's folder, such as `vae_decoder`, or `scheduler`.
        case notFinite(component: String)
        /// The terminal, or what the environment says of it, doesn't show pictures.
        case unsuitableTerminal
    }

    /// What is wrong, for programs.
    public let kind: Kind
    /// One sentence, with its full stop, that says what a person can do.
    public let message: String

    /// An error with this sentence.
    public init(_ message: String, kind: Kind = .invalidRequest) {
        self.message = message
        self.kind = kind
    }

    public var description: String { message }
    public var errorDescription: String? { message }
}
