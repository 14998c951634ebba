import HTTPTypes
import Hummingbird
import Synchronization

/// A client whose request is answered when its job is over.
final class WaitingClient: Sendable {
    private let queue: JobQueue
    private let state = Mutex<(job: Job?, isGone: Bool)>((nil, false))

    init(queue: JobQueue) { self.queue = queue }

    /// The client has closed its connection.
    func didGo() {
        let job = state.withLock { state in
            state.isGone = true
            return state.job
        }
        if let job, job.request.disconnect == .cancel { _ = queue.cancel(job) }
    }

    /// Returns when the job is over.
    ///
    /// - Parameter keeps: whether its result is kept even where the client is there to take it.
    func wait(for job: Job, keeps: Bool = false) async -> Job.Status {
        let wasGone = state.withLock { state in
            state.job = job
            return state.isGone
        }
        if wasGone, job.request.disconnect == .cancel { _ = queue.cancel(job) }
        await job.wait()
        if !keeps, !state.withLock({ $0.isGone }) { queue.forget(job) }
        return job.status
    }

    /// The connection ends with such an answer, since it was watched.
    static func headers(_ job: Job) -> HTTPFields {
        var headers: HTTPFields = [.connection: "close"]
        if let name = HTTPField.Name("X-Job-Id") { headers[name] = job.id }
        return headers
    }
}
