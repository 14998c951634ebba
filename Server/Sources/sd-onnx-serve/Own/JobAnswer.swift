import Foundation
import SDPipeline

/// A job as the own API's clients see it.
struct JobAnswer: Encodable {
    struct Picture: Encodable {
        let url: String
        let mediaType: String
        let seed: UInt64
        let isFlagged: Bool?
        /// The settings as AUTOMATIC1111's web interface writes them.
        let parameters: String
        let record: GenerationRecord

        private enum CodingKeys: String, CodingKey {
            case url, seed, parameters, record
            case mediaType = "media_type"
            case isFlagged = "flagged"
        }
    }

    let id: String
    let state: Job.State
    /// 1 for the next one; nil where it doesn't wait.
    let position: Int?
    let model: String
    let step: Int
    let steps: Int
    let progress: Double
    let eta: Double?
    let created: Date
    let started: Date?
    let finished: Date?
    let error: OwnError.Content?
    let notices: [String]
    let pictures: [Picture]

    init(_ job: Job, queue: JobQueue) {
        let status = job.status
        id = job.id
        state = status.state
        position = status.state == .queued ? queue.position(of: job) : nil
        model = job.request.model.name
        step = status.step
        steps = status.steps
        progress = job.progress
        eta = job.remainingSeconds
        (created, started, finished) = (job.created, status.started, status.finished)
        error = status.error.map { OwnError($0).error }
        notices = status.notices
        pictures = status.pictures.enumerated().map { index, picture in
            Picture(
                url: "/v1/jobs/\(job.id)/pictures/\(index + 1)", mediaType: picture.encoding.mediaType,
                seed: picture.record.seed,
                isFlagged: picture.isFlagged, parameters: picture.parameters, record: picture.record)
        }
    }

    private enum CodingKeys: String, CodingKey {
        case id, state, position, model, step, steps, progress, created, started, finished, error, notices, pictures
        case eta = "eta_seconds"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(state, forKey: .state)
        try container.encodeIfPresent(position, forKey: .position)
        try container.encode(model, forKey: .model)
        try container.encode(step, forKey: .step)
        try container.encode(steps, forKey: .steps)
        try container.encode(progress, forKey: .progress)
        try container.encodeIfPresent(eta, forKey: .eta)
        try container.encode(created.formatted(.iso8601), forKey: .created)
        try container.encodeIfPresent(started?.formatted(.iso8601), forKey: .started)
        try container.encodeIfPresent(finished?.formatted(.iso8601), forKey: .finished)
        try container.encodeIfPresent(error, forKey: .error)
        try container.encode(notices, forKey: .notices)
        try container.encode(pictures, forKey: .pictures)
    }
}
