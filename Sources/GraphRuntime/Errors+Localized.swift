import Foundation

// What Foundation shows where an app asks an error for its `localizedDescription`: one sentence.

extension TensorError: LocalizedError {
    public var errorDescription: String? { message + "." }
}

extension GraphError: LocalizedError {
    public var errorDescription: String? { message + "." }
}

extension MappedFileGuard.InstallationError: LocalizedError {
    public var errorDescription: String? { description + "." }
}

extension RunError: LocalizedError {
    public var errorDescription: String? { description + "." }
}
