import Foundation

// What Foundation shows where an app asks an error for its `localizedDescription`: one sentence.

extension SchedulerError: LocalizedError {
    public var errorDescription: String? { description }
}

extension NPYError: LocalizedError {
    public var errorDescription: String? { description }
}

extension OutputPattern.PatternError: LocalizedError {
    public var errorDescription: String? { description }
}

extension AtomicFile.WriteError: LocalizedError {
    public var errorDescription: String? { description }
}
