import Foundation
import Metrics
import Synchronization

/// What the server counts, by swift-metrics, for ``PrometheusRegistry`` to show.
final class ServerMetrics: Sendable {
    let pictures = Counter(label: "sd_onnx_pictures_total")
    let stepSeconds = SecondsRecorder("sd_onnx_step_seconds")
    private let jobSeconds = SecondsRecorder("sd_onnx_job_seconds")
    private let waitSeconds = SecondsRecorder("sd_onnx_wait_seconds")
    private let jobsStarted = Mutex(0)

    /// Counts the jobs that were begun.
    var lastJob: Int { jobsStarted.withLock { $0 } }

    func didStartJob() { jobsStarted.withLock { $0 += 1 } }

    /// Counts a job that is over.
    func count(_ job: Job) {
        let status = job.status
        Counter(label: "sd_onnx_jobs_total", dimensions: [("state", status.state.rawValue), ("api", job.request.api)])
            .increment()
        guard let started = status.started, let finished = status.finished else { return }
        waitSeconds.observe(started.timeIntervalSince(job.created))
        if status.state == .completed { jobSeconds.observe(finished.timeIntervalSince(started)) }
    }

    /// What is so now, as it is asked for.
    static func now(queue: JobQueue, models: ModelStore) {
        Gauge(label: "sd_onnx_queue_length").record(queue.waitingCount)
        Gauge(label: "sd_onnx_queue_capacity").record(queue.capacity)
        Gauge(label: "sd_onnx_jobs_running").record(queue.running == nil ? 0 : 1)
        Gauge(label: "sd_onnx_model_loaded").record(models.loadedName == nil ? 0 : 1)
        Gauge(label: "process_resident_memory_bytes").record(ProcessMemory.resident)
    }
}

/// Seconds, counted by how many there are up to certain bounds.
struct SecondsRecorder: Sendable {
    private let recorder: Recorder
    init(_ label: String) { recorder = Recorder(label: label, aggregate: true) }
    func observe(_ seconds: Double) { recorder.record(seconds) }
}
