import Foundation
import Synchronization

/// The jobs that wait, the one that runs, and the results that clients may still fetch.
final class JobQueue: Sendable {
    /// What becomes of the job that runs when the server is asked to stop.
    enum StopPolicy: String, Sendable, CaseIterable {
        /// It is finished.
        case finish
        /// It ends, and its client is told to ask another server, as are those that wait.
        case handBack = "hand-back"
    }

    let capacity: Int
    /// How long results are kept.
    let keepSeconds: Double
    private let content = Mutex(Content())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    private struct Content {
        var waiting: [Job] = []
        var running: Job?
        var isStopped = false
        /// All jobs whose results may be asked for, those that wait and the one that runs among them.
        var known: [String: Job] = [:]
        var aliases: [String: String] = [:]
        /// In the order in which they ended.
        var over: [Job] = []
        var overBytes = 0
        /// Seconds a job, of the last ones.
        var meanSeconds = 1.0
        var counts: [String: Int] = [:]
    }

    init(capacity: Int, keepSeconds: Double) {
        self.capacity = capacity
        self.keepSeconds = keepSeconds
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// - Throws: ``APIError`` 503 where the queue is full or the server is stopping.
    func submit(_ request: JobRequest) throws -> Job {
        let job = Job(request)
        try content.withLock { content in
            guard !content.isStopped else {
                throw APIError(.serviceUnavailable, "The server is stopping.", code: "stopping", retryAfter: 5)
            }
            guard content.waiting.count < capacity else {
                let seconds = Int((content.meanSeconds * Double(capacity) / 2).rounded(.up))
                throw APIError(
                    .serviceUnavailable, "The queue is full: \(capacity) requests wait.", code: "queue_full",
                    retryAfter: min(max(seconds, 1), 3600))
            }
            content.waiting.append(job)
            content.known[job.id] = job
            if let alias = request.alias { content.aliases[alias] = job.id }
        }
        wake.yield()
        return job
    }

    /// The next job, when there is one; nil once the server has stopped.
    func next() async -> Job? {
        var iterator = wakes.makeAsyncIterator()
        while true {
            let (job, isStopped): (Job?, Bool) = content.withLock { content in
                guard !content.waiting.isEmpty else { return (nil, content.isStopped) }
                let job = content.waiting.removeFirst()
                content.running = job
                return (job, false)
            }
            if let job {
                tellPlaces()
                return job
            }
            if isStopped { return nil }
            guard await iterator.next() != nil else { return nil }
        }
    }

    private func tellPlaces() {
        for (place, job) in content.withLock({ $0.waiting }).enumerated() { job.update(.queued(position: place + 1)) { _ in } }
    }

    /// Takes note that a job is over. Its result stays for a while, unless its client already has it.
    func didEnd(_ job: Job) {
        let status = job.status
        content.withLock { content in
            if content.running === job { content.running = nil }
            // One that was handed back ends again when its run does.
            guard !content.over.contains(where: { $0 === job }) else { return }
            content.counts[status.state.rawValue, default: 0] += 1
            if let started = status.started, let finished = status.finished, status.state == .completed {
                content.meanSeconds = 0.8 * content.meanSeconds + 0.2 * finished.timeIntervalSince(started)
            }
            guard content.known[job.id] != nil else { return }
            content.over.append(job)
            content.overBytes += Self.bytes(of: job)
        }
        removeOld()
    }

    private static func bytes(of job: Job) -> Int {
        let status = job.status
        return (status.pictures.map(\.bytes) + status.enlarged).reduce(4096) { $0 + $1.count }
    }

    /// Forgets results that nobody came for.
    func removeOld() {
        content.withLock { content in
            let limit = Date(timeIntervalSinceNow: -keepSeconds)
            while let oldest = content.over.first,
                content.overBytes > ServerLimits.keptBytes || (oldest.status.finished ?? .distantPast) < limit
            {
                content.over.removeFirst()
                content.overBytes -= Self.bytes(of: oldest)
                Self.forget(oldest, &content)
            }
        }
    }

    private static func forget(_ job: Job, _ content: inout Content) {
        content.known[job.id] = nil
        if let alias = job.request.alias, content.aliases[alias] == job.id { content.aliases[alias] = nil }
    }

    /// Forgets a job whose client has its result, or doesn't want it.
    func forget(_ job: Job) {
        content.withLock { content in
            if let index = content.over.firstIndex(where: { $0 === job }) {
                content.over.remove(at: index)
                content.overBytes -= Self.bytes(of: job)
            }
            Self.forget(job, &content)
        }
    }

    /// Ends a job, whether it waits or runs; false where it is already over.
    func cancel(_ job: Job) -> Bool {
        let wasWaiting = content.withLock { content in
            guard let index = content.waiting.firstIndex(where: { $0 === job }) else { return false }
            content.waiting.remove(at: index)
            return true
        }
        if wasWaiting {
            job.finish(.cancelled)
            didEnd(job)
            tellPlaces()
            return true
        }
        guard !job.state.isOver else { return false }
        job.interrupt()
        return true
    }

    /// No further jobs; those that wait are handed back, and so is the one that runs where `policy` says it.
    func stop(_ policy: StopPolicy) {
        let (waiting, running) = content.withLock { content in
            content.isStopped = true
            defer { content.waiting = [] }
            return (content.waiting, content.running)
        }
        for job in waiting {
            job.finish(.returned, error: Self.returned)
            didEnd(job)
        }
        if policy == .handBack, let running {
            running.finish(.returned, error: Self.returned)
            running.interrupt()
            didEnd(running)
        }
        wake.yield()
    }

    private static let returned = APIError(
        .serviceUnavailable, "The server stopped before the picture was made.", code: "stopping", retryAfter: 5)

    /// The job of an id, or of the name that its client gave it.
    func job(_ id: String) -> Job? {
        removeOld()
        return content.withLock { content in content.known[id] ?? content.aliases[id].flatMap { content.known[$0] } }
    }

    var running: Job? { content.withLock { $0.running } }
    var waitingCount: Int { content.withLock { $0.waiting.count } }
    var isStopped: Bool { content.withLock { $0.isStopped } }
    /// Jobs that are over, by how they ended.
    var counts: [String: Int] { content.withLock { $0.counts } }

    /// How many jobs are before it: 1 for the next one; nil where it doesn't wait.
    func position(of job: Job) -> Int? {
        content.withLock { content in content.waiting.firstIndex { $0 === job }.map { $0 + 1 } }
    }
}
