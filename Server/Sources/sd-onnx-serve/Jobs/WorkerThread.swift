import Foundation

/// A thread for runs, so that Swift's shared threads, of which there are as many as cores, stay free for requests.
final class WorkerThread: TaskExecutor {
    private let queue = DispatchQueue(label: "sd-onnx runs")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
