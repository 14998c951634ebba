import GraphRuntime

/// A model, or a file that belongs to it, that can't be read; the message is one sentence without a final stop.
public struct LoadError: Error, Sendable, Equatable {
    /// What an app may decide by.
    public enum Kind: Sendable, Equatable {
        /// The file can't be opened, is no regular file, can't be mapped, or became shorter while it was read.
        case file
        /// The file is of another format: a placeholder of a download tool, an archive, weights without a graph, a model of another
        /// program.
        case foreignFormat
        /// The bytes aren't a protobuf message of the expected type: cut off, a length that leaves its message, text that isn't
        /// UTF-8, messages nested too deeply.
        case wireFormat
        /// The IR version, an element type, an attribute type or a feature that this loader doesn't know.
        case unsupported
        /// A tensor whose values don't fit its type and shape.
        case tensor
        /// External data that isn't where the model says, or that the model must not read.
        case externalData
        /// A graph or function that contradicts itself: names used twice, values without a source, cycles, missing opset imports.
        case graph
        /// A limit of ``/GraphRuntime/ResourceLimits``.
        case limit
    }

    /// What is wrong, for programs.
    public var kind: Kind
    /// The path of the file, nil for a model that was given as bytes.
    public var file: String?
    /// The offset in ``file`` of what is wrong, where it is known.
    public var byteOffset: Int?
    /// What was found and what was expected, in one sentence without a full stop.
    public var message: String

    /// An error; each parameter is the property of its name.
    public init(_ kind: Kind, _ message: String, byteOffset: Int? = nil, file: String? = nil) {
        self.kind = kind
        self.message = message.shortened(to: String.longestMessage)
        self.byteOffset = byteOffset
        self.file = file
    }

    /// The same error with what it is about in front of the message.
    func prefixed(_ subject: String) -> LoadError {
        LoadError(kind, subject + ": " + message, byteOffset: byteOffset, file: file)
    }

    /// The same error with a file, where it has none yet.
    func inFile(_ path: String?) -> LoadError {
        var copy = self
        if copy.file == nil { copy.file = path }
        return copy
    }
}

extension LoadError: CustomStringConvertible {
    public var description: String {
        (file.map { $0 + ": " } ?? "") + message + (byteOffset.map { " (at byte \($0))" } ?? "")
    }
}
