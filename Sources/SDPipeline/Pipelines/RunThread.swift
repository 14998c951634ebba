import Foundation

/// A thread that runs take their seconds on, so that Swift's shared threads, of which there are as many as cores, stay free.
final class RunThread: TaskExecutor {
    private let queue = DispatchQueue(label: "sd-onnx generation")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
