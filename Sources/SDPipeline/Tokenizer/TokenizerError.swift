import Foundation

/// Why a tokenizer could not be loaded, or ids not be decoded; `description` is one sentence for a person.
public enum TokenizerError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// A file or folder is missing or can't be read.
    case unreadable(path: String, reason: String)
    /// A file was read, and what it says can't be used.
    case malformed(path: String, reason: String)
    /// An id that no token has.
    case unknownID(Int, vocabularySize: Int)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "Can't read the tokenizer's \(path): \(reason)."
        case .malformed(let path, let reason): "The tokenizer's \(path) can't be used: \(reason)."
        case .unknownID(let id, let size): "No token has the id \(id); the vocabulary has \(size) tokens."
        }
    }

    public var errorDescription: String? { description }
}
