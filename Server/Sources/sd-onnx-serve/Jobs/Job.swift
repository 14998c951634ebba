import Foundation
import SDPipeline
import Synchronization

/// What happens to a job, in the order in which its client is told.
enum JobEvent: Sendable {
    /// How many jobs are before it.
    case queued(position: Int)
    /// A step is done.
    case step
    /// The picture in the making changed.
    case preview
    /// It has come to its end, whichever that is.
    case done
}

/// Pictures that a client asked for: from the request, over a place in the queue, to what was made.
final class Job: Sendable {
    enum State: String, Sendable, CaseIterable, Codable {
        case queued, running, completed, failed, cancelled
        /// The server stopped before it was finished: another may do it.
        case returned

        var isOver: Bool { self != .queued && self != .running }
    }

    /// How far it is.
    struct Status: Sendable {
        var state = State.queued
        /// Runs that are over, of ``JobRequest/rounds``.
        var round = 0
        /// Steps of the run.
        var step = 0
        var steps = 0
        var started: Date?
        var finished: Date?
        /// Seconds in which pictures were computed, encoding of their files left out.
        var runSeconds = 0.0
        /// Seconds a step, of the steps so far.
        var secondsPerStep: Double?
        var preview: RGBImage?
        /// Counts previews, so that the same one isn't sent twice.
        var previewNumber = 0
        var pictures: [MadePicture] = []
        /// Files of pictures that were made larger, without a model.
        var enlarged: [[UInt8]] = []
        var error: APIError?
        var notices: [String] = []
        var isSkipped = false
        var isInterrupted = false
    }

    let id: String
    let request: JobRequest
    let created = Date()
    private let content = Mutex(Content())

    private struct Content {
        var status = Status()
        var listeners: [Int: AsyncStream<JobEvent>.Continuation] = [:]
        var nextListener = 0
        /// The part that is being computed.
        var run: Task<Void, any Error>?
        var lastStep = ContinuousClock.now
    }

    init(_ request: JobRequest) {
        self.request = request
        // 128 random bits, so that nobody guesses another's.
        id = (0..<4).map { _ in String(format: "%08x", UInt32.random(in: .min ... .max)) }.joined()
        content.withLock { $0.status.steps = request.firstRequest?.steps ?? 0 }
    }

    var status: Status { content.withLock { $0.status } }
    var state: State { content.withLock { $0.status.state } }

    /// Seconds until it is done, judged by its steps so far; nil before the first.
    var remainingSeconds: Double? {
        let status = status
        guard status.state == .running, let seconds = status.secondsPerStep else { return nil }
        let rounds = request.tasks.count - status.round
        return seconds * Double(max(rounds * status.steps - status.step, 0))
    }

    /// From 0 to 1.
    var progress: Double {
        let status = status
        if status.state == .completed { return 1 }
        let share = status.steps > 0 ? Double(status.step) / Double(status.steps) : 0
        return min((Double(status.round) + share) / Double(max(request.tasks.count, 1)), 1)
    }

    /// What happens from now on, until it is over; of a client that is too slow, the latest.
    func events() -> AsyncStream<JobEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: JobEvent.self, bufferingPolicy: .bufferingNewest(8))
        let key: Int? = content.withLock { content in
            guard !content.status.state.isOver else { return nil }
            content.nextListener += 1
            content.listeners[content.nextListener] = continuation
            return content.nextListener
        }
        guard let key else {
            continuation.yield(.done)
            continuation.finish()
            return stream
        }
        continuation.onTermination = { _ in self.content.withLock { _ = $0.listeners.removeValue(forKey: key) } }
        return stream
    }

    /// Returns when the job is over.
    func wait() async { for await event in events() { if case .done = event { return } } }

    /// Changes how far it is, and tells those who listen.
    func update(_ event: JobEvent?, _ change: (inout Status) -> Void) {
        let listeners = content.withLock { content in
            change(&content.status)
            return Array(content.listeners.values)
        }
        guard let event else { return }
        for listener in listeners { listener.yield(event) }
    }

    /// Ends it, once.
    func finish(_ state: State, error: APIError? = nil) {
        let listeners: [AsyncStream<JobEvent>.Continuation] = content.withLock { content in
            guard !content.status.state.isOver else { return [] }
            content.status.state = state
            content.status.error = error
            content.status.finished = Date()
            content.status.preview = nil
            content.run = nil
            defer { content.listeners = [:] }
            return Array(content.listeners.values)
        }
        for listener in listeners {
            listener.yield(.done)
            listener.finish()
        }
    }

    /// Counts a step, and how long it took.
    ///
    /// - Returns: the seconds since the last one.
    func countStep(_ completed: Int, of total: Int) -> Double {
        let seconds = content.withLock { content in
            let now = ContinuousClock.now
            defer { content.lastStep = now }
            let seconds = (now - content.lastStep) / .seconds(1)
            content.status.step = completed
            content.status.steps = total
            if completed > 0 {
                content.status.secondsPerStep = content.status.secondsPerStep.map { 0.7 * $0 + 0.3 * seconds } ?? seconds
            }
            return seconds
        }
        update(.step) { _ in }
        return seconds
    }

    /// The run that ``skip()`` and ``interrupt()`` end; ends it at once where one of them came before.
    func setRun(_ run: Task<Void, any Error>) {
        let isStopped = content.withLock { content in
            content.run = run
            content.lastStep = .now
            return content.status.isInterrupted
        }
        if isStopped { run.cancel() }
    }

    /// Ends the run that is being computed, between two nodes of a graph; the next one follows.
    func skip() {
        let run = content.withLock { content in
            content.status.isSkipped = true
            return content.run
        }
        run?.cancel()
    }

    /// Ends the run that is being computed, and those after it.
    func interrupt() {
        let run = content.withLock { content in
            content.status.isInterrupted = true
            return content.run
        }
        run?.cancel()
    }
}
