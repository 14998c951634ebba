import Foundation
import SDPipeline

/// How far the job is that runs, whichever API it came by.
struct A1111Progress: Encodable {
    struct State: Encodable {
        var skipped = false
        var interrupted = false
        var stopping = false
        var job = ""
        var jobCount = 0
        var timestamp = "0"
        var jobNumber = 0
        var step = 0
        var steps = 0

        private enum CodingKeys: String, CodingKey {
            case skipped, interrupted, job
            case stopping = "stopping_generation"
            case jobCount = "job_count"
            case timestamp = "job_timestamp"
            case jobNumber = "job_no"
            case step = "sampling_step"
            case steps = "sampling_steps"
        }
    }

    var progress = 0.0
    var eta = 0.0
    var state = State()
    var image: String?
    var task: String?

    private enum CodingKeys: String, CodingKey {
        case progress, state, textinfo
        case eta = "eta_relative"
        case image = "current_image"
        case task = "current_task"
    }

    /// - Parameter job: nil where none runs: clients wait for a progress and a count of 0.
    init(_ job: Job?, withImage: Bool) throws {
        guard let job else { return }
        let status = job.status
        progress = max(job.progress, 0.01)
        eta = job.remainingSeconds ?? 0
        state = State(
            skipped: status.isSkipped, interrupted: status.isInterrupted, job: "task(\(job.id))",
            jobCount: job.request.tasks.count,
            timestamp: A1111Time.stamp(job.created), jobNumber: status.round, step: status.step, steps: status.steps)
        if withImage, let preview = status.preview { image = Data(try PNGFile.encode(preview)).base64EncodedString() }
        task = job.request.alias ?? job.id
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(progress, forKey: .progress)
        try container.encode(eta, forKey: .eta)
        try container.encode(state, forKey: .state)
        try container.encode(image, forKey: .image)
        try container.encodeNil(forKey: .textinfo)
        try container.encode(task, forKey: .task)
    }
}

enum A1111Time {
    /// As there: year to second, without anything between.
    static func stamp(_ date: Date) -> String {
        date.formatted(
            .verbatim(
                "\(year: .padded(4))\(month: .twoDigits)\(day: .twoDigits)\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\(second: .twoDigits)",
                timeZone: .current, calendar: Calendar(identifier: .gregorian)))
    }
}
