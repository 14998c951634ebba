import Foundation
import Logging
import SDPipeline
import ServiceLifecycle
import Synchronization

/// Does one job after another.
struct JobWorker: Service {
    let queue: JobQueue
    let models: ModelStore
    let upscalers: UpscalerStore
    let metrics: ServerMetrics
    let logger: Logger
    /// Where every picture is written, too; nil for nowhere.
    let outputFolder: URL?
    /// Seconds without a job after which the model is unloaded; nil for never.
    let idleSeconds: Double?
    private let thread = WorkerThread()

    init(
        queue: JobQueue, models: ModelStore, upscalers: UpscalerStore, metrics: ServerMetrics, logger: Logger,
        outputFolder: URL?, idleSeconds: Double?
    ) {
        self.queue = queue
        self.models = models
        self.upscalers = upscalers
        self.metrics = metrics
        self.logger = logger
        self.outputFolder = outputFolder
        self.idleSeconds = idleSeconds
    }

    func run() async throws {
        while let job = await queue.next() {
            await perform(job)
            queue.didEnd(job)
            metrics.count(job)
            log(job)
            scheduleUnloading()
        }
        // A service that ends before it is told to is taken for one that failed.
        try? await gracefulShutdown()
    }

    /// Loads the chosen model.
    func load() async throws {
        let (models, thread) = (models, thread)
        try await Task(executorPreference: thread) { _ = try models.load(models.chosen) }.value
        scheduleUnloading()
    }

    private func scheduleUnloading() {
        guard let idleSeconds else { return }
        let (queue, models, upscalers, logger) = (queue, models, upscalers, logger)
        let last = metrics.lastJob
        Task {
            try await Task.sleep(for: .seconds(idleSeconds))
            guard metrics.lastJob == last, queue.running == nil, queue.waitingCount == 0, models.loadedName != nil else {
                return
            }
            models.unload()
            upscalers.unload()
            logger.info("model unloaded", metadata: ["idle_seconds": "\(idleSeconds)"])
        }
    }

    private func perform(_ job: Job) async {
        metrics.didStartJob()
        job.update(.queued(position: 0)) { status in
            status.state = .running
            status.started = Date()
        }
        for (round, part) in job.request.tasks.enumerated() {
            guard !job.status.isInterrupted else { break }
            job.update(nil) { status in
                (status.round, status.step, status.isSkipped) = (round, 0, false)
            }
            let task = Task(executorPreference: thread) {
                switch part {
                case .pictures(let request): try keep(try run(request, of: job), of: job)
                case .enlargement(let enlargement): try enlarge(enlargement, of: job)
                }
            }
            job.setRun(task)
            do {
                try await task.value
            } catch is CancellationError {
                continue
            } catch {
                return job.finish(.failed, error: APIError(error))
            }
        }
        let status = job.status
        job.update(nil) { $0.round = job.request.tasks.count }
        job.finish(status.isInterrupted ? .cancelled : .completed)
    }

    private func enlarge(_ enlargement: Enlargement, of job: Job) throws {
        let start = ContinuousClock.now
        let image = try upscalers.withoutPaths {
            try enlargement.result(upscalers) { completed, total in _ = job.countStep(completed, of: total) }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let bytes = try PNGFile.encode(image)
        job.update(nil) { status in
            status.runSeconds += seconds
            status.enlarged.append(bytes)
        }
        metrics.pictures.increment(by: 1)
    }

    private func run(_ request: GenerationRequest, of job: Job) throws -> GenerationResult {
        try upscalers.withoutPaths { try request.withoutControlPaths { try compute(request, of: job) } }
    }

    private func compute(_ request: GenerationRequest, of job: Job) throws -> GenerationResult {
        let loaded = try models.load(job.request.model, adapters: job.request.adapters)
        let plan = try loaded.configuration.plan(for: request)
        return try loaded.pipeline.generate(plan) { progress in
            switch progress {
            case .step(let completed, let total):
                let seconds = job.countStep(completed, of: total)
                if completed > 0 { metrics.stepSeconds.observe(seconds) }
            case .preview(_, _, let images):
                job.update(.preview) { status in
                    status.preview = images.first
                    status.previewNumber += 1
                }
            case .encodingPrompt, .decoding: break
            }
            return true
        }
    }

    private func keep(_ result: GenerationResult, of job: Job) throws {
        let encoding = job.request.encoding
        let pictures = try zip(result.images, result.records).map { image, record in
            try MadePicture(image, record: record, encoding: encoding)
        }
        if let outputFolder {
            let first = job.status.pictures.count + 1
            for (index, picture) in pictures.enumerated() {
                // The name has nothing that a request says.
                let name = "\(Self.stamp(job.created))-\(job.id.prefix(8))-\(first + index).\(encoding.fileExtension)"
                try AtomicFile.write(picture.bytes, to: outputFolder.appendingPathComponent(name))
            }
        }
        job.update(nil) { status in
            status.runSeconds += result.timings.total
            status.pictures += pictures
            for notice in result.notices.map({ "\($0)" }) where !status.notices.contains(notice) {
                status.notices.append(notice)
            }
        }
        metrics.pictures.increment(by: Int64(pictures.count))
    }

    private static func stamp(_ date: Date) -> String {
        date.formatted(
            .verbatim(
                "\(year: .padded(4))\(month: .twoDigits)\(day: .twoDigits)-\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\(second: .twoDigits)",
                timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
    }

    private func log(_ job: Job) {
        let status = job.status
        var metadata: Logger.Metadata = [
            "job": "\(job.id)", "api": "\(job.request.api)", "state": "\(status.state.rawValue)",
            "pictures": "\(status.pictures.count)", "model": "\(job.request.model.name)",
        ]
        if let started = status.started, let finished = status.finished {
            metadata["waited_seconds"] = "\(started.timeIntervalSince(job.created))"
            metadata["run_seconds"] = "\(status.runSeconds)"
            metadata["seconds"] = "\(finished.timeIntervalSince(started))"
        }
        if let error = status.error { metadata["error"] = "\(error.message)" }
        logger.info("job ended", metadata: metadata)
    }
}
