import Foundation

// Foundation shows an error to people by these texts; each is the error's one sentence.

extension SchedulerError: LocalizedError {
    public var errorDescription: String? { description }
}

extension NPYError: LocalizedError {
    public var errorDescription: String? { description }
}

extension AtomicFile.WriteError: LocalizedError {
    public var errorDescription: String? { description }
}

extension OutputPattern.PatternError: LocalizedError {
    public var errorDescription: String? { description }
}
